from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fourfold.errors import InputError
from fourfold.evals.constraints import ConstraintCheck, arm_quantities, check_constraints, decide_within
from fourfold.evals.cost import ArmUse, arm_cost, rank_costs
from fourfold.evals.price_sensitivity import PRICES, PriceFlip, PriceRange, What, price_sensitivity
from fourfold.evals.verdict import ArmResults, Verdict, decide
from fourfold.study import ConstraintSettings, PriceSettings

Scores = dict[str, float | None]
N_QUERIES = 10_000
# .001 a machine second, 10^-6 a token.
BOTH = PriceSettings(machine_hour=3.6, prompt_million=1.0, answer_million=1.0)
EQUAL: Scores = {f"q{k}": float(k % 2) for k in range(400)}


def use(arm: str, *, tokens: float | None, **fields: Any) -> ArmUse:
    defaults: dict[str, Any] = {
        "prompt_tokens": tokens, "answer_tokens": None if tokens is None else 0.0, "seconds": None, "concurrency": None,
        "index_seconds": 0.0, "tuning_seconds": 0.0, "storage_bytes": 0,
    }  # fmt: skip
    return ArmUse(arm=arm, **{**defaults, **fields})


# Over n queries rag costs 10 + .002 n, tuned 100 + .001 n.
RAG = use("rag", tokens=2000.0, index_seconds=10_000.0)
TUNED = use("tuned", tokens=1000.0, tuning_seconds=100_000.0)
USES = (RAG, TUNED)


def results(
    uses: Sequence[ArmUse], scores: Sequence[Scores], prices: PriceSettings, n_queries: int
) -> list[ArmResults]:
    costs = rank_costs(uses, prices, n_queries=n_queries).values
    return [
        ArmResults(arm=one.arm, scores=own, mean_cost=costs[one.arm] or 0.0)
        for one, own in zip(uses, scores, strict=True)
    ]


def verdict_of(
    uses: Sequence[ArmUse] = USES,
    scores: Sequence[Scores] | None = None,
    prices: PriceSettings = BOTH,
    n_queries: int = N_QUERIES,
) -> Verdict:
    """Of arms with the same scores, where none are given: the cheapest wins."""
    own = scores or [EQUAL for _ in uses]
    return decide(results(uses, own, prices, n_queries), {question: question for question in own[0]})


def ranges(
    verdict: Verdict,
    uses: Sequence[ArmUse] = USES,
    prices: PriceSettings = BOTH,
    n_queries: int = N_QUERIES,
    checks: Sequence[ConstraintCheck] = (),
) -> dict[What, PriceRange]:
    found = price_sensitivity(verdict, uses, prices, n_queries=n_queries, checks=checks)
    assert found.reason is None
    return {one.what: one for one in found.ranges}


def only(found: PriceRange) -> PriceFlip:
    (flip,) = found.flips
    assert flip.what == found.what
    return flip


def test_two_arms_by_hand() -> None:
    verdict = verdict_of()
    assert verdict.winner == "rag"
    found = ranges(verdict)
    assert list(found) == ["machine hour", "token prices", "queries"]
    # 10 f + 20 = 100 f + 10 at f = 1/9.
    flip = only(found["machine hour"])
    assert flip.factor == pytest.approx(1 / 9)
    assert flip.values == pytest.approx((0.4,))
    assert (flip.winner_below, flip.winner_above) == ("tuned", "rag")
    # 10 + 20 f = 100 + 10 f at f = 9.
    flip = only(found["token prices"])
    assert flip.factor == pytest.approx(9)
    assert flip.values == pytest.approx((9.0, 9.0))
    assert (flip.winner_below, flip.winner_above) == ("rag", "tuned")
    # 10 + .002 n = 100 + .001 n at n = 90 000.
    flip = only(found["queries"])
    assert flip.factor == pytest.approx(9)
    assert flip.values == pytest.approx((90_000.0,))
    assert (flip.winner_below, flip.winner_above) == ("rag", "tuned")
    for one in found.values():
        assert (one.low, one.high, one.reason) == (pytest.approx(0.1), pytest.approx(10), None)
    assert found["token prices"].values == (1.0, 1.0)


def test_storage_by_hand() -> None:
    # rag keeps 100 GB: 100 f + 20 = 100 + 10 at f = .9.
    uses = (use("rag", tokens=2000.0, storage_bytes=100_000_000_000), TUNED)
    prices = BOTH.model_copy(update={"storage_gb_month": 1.0})
    flip = only(ranges(verdict_of(uses, prices=prices), uses, prices)["storage"])
    assert flip.factor == pytest.approx(0.9)
    assert (flip.winner_below, flip.winner_above) == ("rag", "tuned")


def test_energy_by_hand() -> None:
    # 360 W at 10 a kWh are .001 a second too: 10 (1 + f) + 200 = 100 (1 + f) + 10 at f = 10/9.
    uses = (replace(RAG, prompt_tokens=20_000.0), TUNED)
    prices = BOTH.model_copy(update={"watts": 360.0, "kilowatt_hour": 10.0})
    flip = only(ranges(verdict_of(uses, prices=prices), uses, prices)["kWh"])
    assert flip.factor == pytest.approx(10 / 9)
    assert flip.values == pytest.approx((100 / 9,))
    assert (flip.winner_below, flip.winner_above) == ("tuned", "rag")


def test_a_winner_that_no_factor_in_range_changes_has_no_flip() -> None:
    # 10 + .002 n = 210 + .001 n at n = 200 000, factor 20.
    uses = (RAG, replace(TUNED, tuning_seconds=210_000.0))
    assert ranges(verdict_of(uses), uses)["queries"].flips == ()


def test_two_flips_close_together_are_both_found() -> None:
    # .002 n, 10 + .001 n and 19.09 + .0001 n: the second is the cheapest only from 10 000 to 10 100 queries.
    uses = (
        use("base", tokens=2000.0),
        use("rag", tokens=1000.0, index_seconds=10_000.0),
        use("tuned", tokens=100.0, tuning_seconds=19_090.0),
    )
    found = ranges(verdict_of(uses, n_queries=5000), uses, n_queries=5000)["queries"]
    assert [(flip.winner_below, flip.winner_above) for flip in found.flips] == [("base", "rag"), ("rag", "tuned")]
    assert [flip.values[0] for flip in found.flips] == pytest.approx([10_000, 10_100])


def test_three_lines_through_one_point_are_one_flip() -> None:
    # All cost 25.52 at 10 000 queries; in double precision the three crossings differ in the sixteenth digit.
    uses = (
        use("base", tokens=2552.0),
        use("rag", tokens=1911.0, index_seconds=6410.0),
        use("tuned", tokens=1533.0, tuning_seconds=10_190.0),
    )
    flip = only(ranges(verdict_of(uses, n_queries=3523), uses, n_queries=3523)["queries"])
    assert flip.values == pytest.approx((10_000,))
    assert (flip.winner_below, flip.winner_above) == ("base", "tuned")


# Chosen for flips of every kind: to another arm, to none and from none, two in one range.
@pytest.mark.parametrize("seed", [0, 6, 9, 12])
def test_the_winner_between_flips_is_that_of_the_whole_rule_at_those_prices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hard = rng.random(300)
    scores: list[Scores] = [
        {f"q{k}": float(hard[k] + rng.normal() * 0.05 < share) for k in range(300)} for share in (0.5, 0.8, 0.8, 0.8)
    ]
    uses = [
        use(
            arm, tokens=float(rng.uniform(50, 2000)), index_seconds=float(rng.uniform(0, 20_000)),
            tuning_seconds=float(rng.uniform(0, 20_000)), storage_bytes=int(rng.uniform(0, 10**10)),
        )
        for arm in ("base", "rag", "tuned", "tuned + rag")
    ]  # fmt: skip
    prices = PriceSettings(machine_hour=3.6, prompt_million=1.0, answer_million=1.0, storage_gb_month=1.0)
    found = ranges(verdict_of(uses, scores, prices), uses, prices)
    assert sum(len(one.flips) for one in found.values()) > 0
    for what, one in found.items():
        for factor in np.geomspace(0.101, 9.9, 9):
            if any(abs(flip.factor / factor - 1) < 0.01 for flip in one.flips):
                continue
            names = PRICES.get(what, ())
            other = prices.model_copy(update={name: getattr(prices, name) * factor for name in names})
            n_queries = round(N_QUERIES * factor) if what == "queries" else N_QUERIES
            inside = [flip.winner_above for flip in one.flips if flip.factor < factor]
            first = one.flips[0].winner_below if one.flips else verdict_of(uses, scores, prices).winner
            assert (inside or [first])[-1] == verdict_of(uses, scores, other, n_queries).winner


def test_without_any_winner_there_is_none_at_any_price() -> None:
    few: Scores = {"q0": 1.0, "q1": 0.0, "q2": 1.0}
    verdict = verdict_of(scores=[few, {"q0": 0.0, "q1": 1.0, "q2": 1.0}])
    assert verdict.winner is None
    assert all(one.flips == () for one in ranges(verdict).values())


def test_a_verdict_left_open_can_be_settled_by_another_order() -> None:
    # rag is shown not worse than tuned, tuned is neither that nor excluded: rag wins exactly where it is the cheaper.
    rag: Scores = {f"q{k}": float(k != 59) for k in range(60)}
    tuned: Scores = {f"q{k}": float(k >= 8) for k in range(60)}
    verdict = verdict_of(scores=[rag, tuned], n_queries=100_000)
    assert (verdict.outcome, verdict.finished.qualified) == ("not enough evidence", ("rag",))
    flip = only(ranges(verdict, n_queries=100_000)["queries"])
    assert flip.factor == pytest.approx(0.9)
    assert (flip.winner_below, flip.winner_above) == ("rag", None)


def test_where_failures_decide_there_is_no_winner() -> None:
    verdict = verdict_of()
    counted = replace(verdict.failed_as_wrong, qualified=("tuned",), excluded=("rag",), winner="tuned")
    flip = only(ranges(replace(verdict, winner=None, failed_as_wrong=counted))["queries"])
    assert (flip.winner_below, flip.winner_above) == (None, "tuned")


def test_an_arm_that_answered_nothing_stands_in_the_way_at_every_price() -> None:
    uses = (use("base", tokens=None), *USES)
    scores: list[Scores] = [dict.fromkeys(EQUAL), EQUAL, EQUAL]
    verdict = verdict_of(uses, scores)
    assert verdict.winner is None
    assert all(one.flips == () for one in ranges(verdict, uses).values())


def limited(limit: float, **limits: float) -> tuple[Verdict, tuple[ConstraintCheck, ...]]:
    bills = [arm_cost(one, BOTH, n_queries=N_QUERIES) for one in USES]
    settings = ConstraintSettings(max_cost_per_query=limit, **limits)
    checks = check_constraints(arm_quantities(USES, bills, ()), settings)
    arms = results(USES, [EQUAL, EQUAL], BOTH, N_QUERIES)
    return decide_within(arms, {question: question for question in EQUAL}, checks), checks


def test_the_range_ends_where_a_limit_on_cost_lets_other_arms_in() -> None:
    # A query costs .003 with rag, .011 with tuned, which is kept out.
    verdict, checks = limited(0.004)
    assert verdict.winner == "rag"
    found = ranges(verdict, checks=checks)
    # rag: .001 f + .002 at f = 2; tuned: .01 f + .001 at f = .3.
    assert (found["machine hour"].low, found["machine hour"].high) == (pytest.approx(0.3), pytest.approx(2))
    assert found["machine hour"].reason is not None
    assert found["machine hour"].reason.endswith("tuned enters, rag leaves")
    # rag: .001 + .002 f at f = 1.5; tuned never.
    assert (found["token prices"].low, found["token prices"].high) == (pytest.approx(0.1), pytest.approx(1.5))
    # rag: 10 / n + .002 at n = 5000; tuned: 100 / n + .001 at n = 33 333.
    assert (found["queries"].low, found["queries"].high) == (pytest.approx(0.5), pytest.approx(10 / 3))
    assert all(one.flips == () for one in found.values())


def test_a_flip_beyond_the_range_of_the_limit_is_not_told() -> None:
    # tuned, at .011, leaves at 1.01 times the hour's price; the flip at 1/9 stays, those at 9 do not.
    verdict, checks = limited(0.0111)
    found = ranges(verdict, checks=checks)
    assert only(found["machine hour"]).factor == pytest.approx(1 / 9)
    assert found["machine hour"].high == pytest.approx(1.01)
    assert found["token prices"].flips == ()
    assert found["token prices"].high == pytest.approx(1.1)


def test_an_arm_kept_out_by_another_limit_does_not_enter() -> None:
    verdict, checks = limited(0.004, max_tuning_hours=1.0)
    found = ranges(verdict, checks=checks)
    assert found["machine hour"].low == pytest.approx(0.1)
    assert found["queries"].high == pytest.approx(10)


def test_a_limit_that_an_arm_just_meets_ends_the_range_at_the_studys_own_price() -> None:
    cost = rank_costs(USES, BOTH, n_queries=N_QUERIES).values["rag"]
    assert cost is not None
    verdict, checks = limited(cost)
    assert verdict.winner == "rag"
    assert ranges(verdict, checks=checks)["token prices"].high == pytest.approx(1)


def test_without_prices_there_is_nothing_to_change_and_a_reason() -> None:
    found = price_sensitivity(verdict_of(prices=PriceSettings()), USES, PriceSettings(), n_queries=N_QUERIES)
    assert (found.ranges, found.reason) == ((), "arms are ranked by tokens (no prices)")


def test_a_price_that_is_missing_for_one_arm_leaves_tokens_and_a_reason() -> None:
    prices = PriceSettings(prompt_million=1.0, answer_million=1.0)
    found = price_sensitivity(verdict_of(prices=prices), USES, prices, n_queries=N_QUERIES)
    assert found.ranges == ()
    assert found.reason is not None
    assert "prices.machine_hour" in found.reason


def test_where_no_arm_meets_the_constraints_there_is_a_reason() -> None:
    verdict, checks = limited(0.0)
    found = price_sensitivity(verdict, USES, BOTH, n_queries=N_QUERIES, checks=checks)
    assert (found.ranges, found.reason) == ((), "no arm stands in the verdict")


def test_a_price_of_0_says_that_no_factor_changes_it() -> None:
    prices = BOTH.model_copy(update={"storage_gb_month": 0.0})
    found = ranges(verdict_of(prices=prices), prices=prices)["storage"]
    assert (found.flips, found.reason) == ((), "is 0: no factor changes it")


def test_free_queries_still_leave_the_fixed_cost() -> None:
    # .001 n against 10 once, at n = 10 000.
    uses = (use("base", tokens=1000.0), use("rag", tokens=0.0, index_seconds=10_000.0))
    flip = only(ranges(verdict_of(uses, n_queries=5000), uses, n_queries=5000)["queries"])
    assert flip.values == pytest.approx((10_000,))
    assert (flip.winner_below, flip.winner_above) == ("base", "rag")


def test_fewer_than_one_query_is_not_looked_at() -> None:
    found = ranges(verdict_of(n_queries=3), n_queries=3)["queries"]
    assert found.low == pytest.approx(1 / 3)
    assert found.high == pytest.approx(10)
    assert found.reason == "one query is the least"


def test_equal_costs_keep_the_order_given_at_every_price() -> None:
    uses = (RAG, replace(RAG, arm="tuned"))
    verdict = verdict_of(uses)
    assert verdict.winner == "rag"
    assert all(one.flips == () for one in ranges(verdict, uses).values())


def test_other_prices_than_the_verdicts_are_refused() -> None:
    other = BOTH.model_copy(update={"machine_hour": 0.036})
    with pytest.raises(InputError, match="not those that the verdict"):
        price_sensitivity(verdict_of(), USES, other, n_queries=N_QUERIES)


def test_uses_that_lack_an_arm_are_refused() -> None:
    with pytest.raises(InputError, match="no use of tuned"):
        price_sensitivity(verdict_of(), USES[:1], BOTH, n_queries=N_QUERIES)


def test_uses_that_lack_an_arm_that_a_limit_keeps_out_are_refused() -> None:
    verdict, checks = limited(0.004)
    with pytest.raises(InputError, match="no use of tuned"):
        price_sensitivity(verdict, USES[:1], BOTH, n_queries=N_QUERIES, checks=checks)
