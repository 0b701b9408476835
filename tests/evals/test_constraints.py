from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fourfold.errors import InputError, StudyError
from fourfold.evals.constraints import (
    ArmQuantities,
    ConstraintCheck,
    Measured,
    arm_quantities,
    check_constraints,
    decide_within,
)
from fourfold.evals.cost import ArmUse, arm_cost
from fourfold.evals.latency import arm_latencies
from fourfold.evals.verdict import ArmResults, decide
from fourfold.study import ConstraintSettings, PriceSettings, VerdictSettings
from fourfold.study_file import load_study
from fourfold.types import Arm, Latency

N = 400
CLUSTERS = {f"q{k}": f"c{k}" for k in range(N)}
# The same scores for every arm: the cheapest of those that are let in wins.
EQUAL: dict[str, float | None] = {question: float(k % 2) for k, question in enumerate(CLUSTERS)}
ARMS = [
    ArmResults(arm=arm, scores=EQUAL, mean_cost=cost) for arm, cost in (("base", 1.0), ("rag", 2.0), ("tuned", 3.0))
]
NOT_MEASURED = Measured(value=None, unit="s", reason="seconds were not measured: set latency.enabled")


def seconds(value: float) -> Measured:
    return Measured(value=value, unit="s", reason=None)


def quantities(**p95: Measured) -> list[ArmQuantities]:
    return [
        ArmQuantities(
            arm=arm,
            cost_per_query=Measured(value=cost, unit="EUR", reason=None),
            p95_seconds=p95.get(arm, seconds(1.0)),
            tuning_hours=Measured(value=4.0 if arm == "tuned" else 0.0, unit="h", reason=None),
        )
        for arm, cost in (("base", 0.1), ("rag", 0.2), ("tuned", 0.3))
    ]


def checks(of: list[ArmQuantities], **limits: float) -> tuple[ConstraintCheck, ...]:
    return check_constraints(of, ConstraintSettings(**limits))


def use(arm: str, *, tuning_seconds: float = 0.0, prompt_tokens: float | None = 80.0) -> ArmUse:
    return ArmUse(
        arm=arm, prompt_tokens=prompt_tokens, answer_tokens=None if prompt_tokens is None else 20.0, seconds=0.5,
        concurrency=8, index_seconds=0.0, tuning_seconds=tuning_seconds, storage_bytes=0,
    )  # fmt: skip


def waits(arm: Arm, times: list[float]) -> list[Latency]:
    return [
        Latency(
            arm=arm, question_id=f"q{k}", batch=k, concurrency=1, seconds=time, retrieval_seconds=None,
            n_prompt_tokens=1, n_answer_tokens=1, failure=None,
        )
        for k, time in enumerate(times)
    ]  # fmt: skip


def measured(prices: PriceSettings, rows: list[Latency], **fields: Any) -> ArmQuantities:
    uses = [use("tuned", **fields)]
    (own,) = arm_quantities(uses, [arm_cost(one, prices, n_queries=100) for one in uses], arm_latencies(rows))
    return own


def test_without_limits_nothing_is_checked_and_the_verdict_is_that_of_decide() -> None:
    assert checks(quantities()) == ()
    assert decide_within(ARMS, CLUSTERS, ()) == decide(ARMS, CLUSTERS)


def test_limits_that_all_arms_keep_leave_the_verdict_as_it_is() -> None:
    of_all = checks(quantities(), max_p95_seconds=1.0, max_cost_per_query=0.3, max_tuning_hours=4.0)
    # One check per arm and limit; a value on its limit meets it.
    assert [(check.arm, check.met) for check in of_all] == [(arm.arm, True) for arm in ARMS for _ in range(3)]
    assert decide_within(ARMS, CLUSTERS, of_all) == decide(ARMS, CLUSTERS)


def test_the_cheapest_arm_kept_out_by_its_p95_gives_the_next_one() -> None:
    of_all = checks(quantities(base=seconds(3.5)), max_p95_seconds=2.0)
    assert of_all[0] == ConstraintCheck(
        arm="base", constraint="max_p95_seconds", limit=2.0, value=3.5, unit="s", met=False, reason=None
    )
    verdict = decide_within(ARMS, CLUSTERS, of_all)
    assert decide(ARMS, CLUSTERS).winner == "base"
    assert (verdict.outcome, verdict.winner) == ("decided", "rag")
    assert verdict.reason.endswith("Kept out by the constraints: base (p95 3.5 s, at most 2 s).")


def test_arms_are_compared_and_corrected_only_among_those_that_are_left() -> None:
    verdict = decide_within(ARMS, CLUSTERS, checks(quantities(base=seconds(3.5)), max_p95_seconds=2.0))
    assert [(one.i, one.j) for one in verdict.finished.comparisons] == [("rag", "tuned"), ("tuned", "rag")]
    assert verdict == replace(decide(ARMS[1:], CLUSTERS), reason=verdict.reason)


def test_margin_and_level_are_those_asked_for() -> None:
    of_all = checks(quantities(base=seconds(3.5)), max_p95_seconds=2.0)
    verdict = decide_within(ARMS, CLUSTERS, of_all, margin=0.1, level=0.01)
    assert verdict == replace(decide(ARMS[1:], CLUSTERS, margin=0.1, level=0.01), reason=verdict.reason)


def test_every_arm_kept_out_is_an_outcome_of_its_own() -> None:
    limits = {"max_p95_seconds": 0.5, "max_tuning_hours": 1.0}
    verdict = decide_within(ARMS, CLUSTERS, checks(quantities(), **limits), margin=0.1, level=0.01)
    assert (verdict.outcome, verdict.winner) == ("no arm shown to meet the constraints", None)
    assert verdict.reason == (
        "No arm is shown to meet the constraints. Kept out by the constraints: base (p95 1 s, at most 0.5 s); "
        "rag (p95 1 s, at most 0.5 s); tuned (p95 1 s, at most 0.5 s, tuning 4 h, at most 1 h)."
    )
    assert (verdict.n_needed, verdict.n_needed_reason) == (None, "no arm is shown to meet the constraints")
    assert (verdict.finished.means, verdict.failed_as_wrong.comparisons, verdict.n_failed) == ((), (), ())
    assert (verdict.n_questions, verdict.margin, verdict.level) == (N, 0.1, 0.01)


def test_an_arm_that_was_not_measured_is_kept_out_and_told_what_to_set() -> None:
    of_all = checks(quantities(base=NOT_MEASURED), max_p95_seconds=2.0)
    assert (of_all[0].met, of_all[0].value, of_all[0].reason) == (None, None, NOT_MEASURED.reason)
    verdict = decide_within(ARMS, CLUSTERS, of_all)
    assert verdict.winner == "rag"
    assert "base (p95 not shown to be at most 2 s: seconds were not measured: set latency.enabled)" in verdict.reason


def test_a_limit_on_what_nobody_measured_leaves_no_arm() -> None:
    of_all = checks(quantities(base=NOT_MEASURED, rag=NOT_MEASURED, tuned=NOT_MEASURED), max_p95_seconds=2.0)
    verdict = decide_within(ARMS, CLUSTERS, of_all)
    assert (verdict.outcome, verdict.winner) == ("no arm shown to meet the constraints", None)
    assert verdict.reason.count("set latency.enabled") == 3


def test_one_broken_limit_is_enough() -> None:
    verdict = decide_within(ARMS, CLUSTERS, checks(quantities(), max_p95_seconds=5.0, max_cost_per_query=0.15))
    assert verdict.winner == "base"
    assert [name for name, _ in verdict.finished.means] == ["base"]
    assert "rag (cost a query 0.2 EUR, at most 0.15 EUR); tuned" in verdict.reason


def test_the_quantities_of_an_arm_by_hand() -> None:
    # 7200 s of tuning at 3.6 an hour are 7.2, over 100 queries .072; a query of .5 s .0005.
    own = measured(PriceSettings(currency="EUR", machine_hour=3.6), waits("tuned", [2.0] * 30), tuning_seconds=7200.0)
    assert own.cost_per_query.value == pytest.approx(0.0725)
    assert (own.cost_per_query.unit, own.cost_per_query.reason) == ("EUR", None)
    assert own.p95_seconds == Measured(value=2.0, unit="s", reason=None)
    assert own.tuning_hours == Measured(value=2.0, unit="h", reason=None)


def test_without_prices_cost_is_in_tokens_and_tuning_time_is_known_all_the_same() -> None:
    own = measured(PriceSettings(), [], tuning_seconds=3600.0)
    assert own.cost_per_query == Measured(value=100.0, unit="tokens", reason=None)
    assert own.tuning_hours.value == 1.0


def test_with_a_price_missing_cost_is_not_measured_and_never_tokens() -> None:
    # A limit in currency must not be held against tokens.
    own = measured(PriceSettings(storage_gb_month=0.1), [])
    assert own.cost_per_query.value is None
    assert own.cost_per_query.unit == "USD"
    assert own.cost_per_query.reason is not None
    assert "prices.machine_hour" in own.cost_per_query.reason


def test_an_arm_that_answered_nothing_has_no_cost_to_hold() -> None:
    own = measured(PriceSettings(), [], prompt_tokens=None)
    (check,) = checks([own], max_cost_per_query=1000.0)
    assert (check.met, check.reason) == (None, "no prices; nothing was answered")


def test_without_a_latency_pass_p95_says_what_to_set() -> None:
    assert measured(PriceSettings(), waits("rag", [1.0] * 30)).p95_seconds == NOT_MEASURED


def test_under_30_answered_requests_p95_says_what_to_set() -> None:
    own = measured(PriceSettings(), waits("tuned", [1.0] * 29)).p95_seconds
    assert own.value is None
    assert own.reason is not None
    assert own.reason.startswith("29 answered requests: at least 30 are needed")
    assert "latency.n_questions" in own.reason


def test_the_point_estimate_of_p95_is_held_to_the_limit_not_its_upper_end() -> None:
    times = np.linspace(0.0, 1.0, 200).tolist()
    (latency,) = arm_latencies(waits("tuned", times))
    assert latency.p95.value is not None
    assert latency.p95.high is not None
    assert latency.p95.value < 0.96 < latency.p95.high
    (check,) = checks([measured(PriceSettings(), waits("tuned", times))], max_p95_seconds=0.96)
    assert check.met is True


def test_an_arm_without_checks_is_refused() -> None:
    with pytest.raises(InputError, match="not held to the constraints"):
        decide_within(ARMS, CLUSTERS, checks(quantities()[:2], max_p95_seconds=2.0))


def test_no_arms_are_refused_as_by_decide() -> None:
    with pytest.raises(InputError, match="no arms"):
        decide_within([], {}, ())


def test_uses_and_bills_of_different_arms_are_refused() -> None:
    bills = [arm_cost(use("rag"), PriceSettings(), n_queries=1)]
    with pytest.raises(InputError, match="different arms"):
        arm_quantities([use("tuned")], bills, ())


def test_limits_are_frozen_with_the_rule() -> None:
    held, other = VerdictSettings(), VerdictSettings(constraints=ConstraintSettings(max_p95_seconds=2.0))
    assert held.model_dump(mode="json") != other.model_dump(mode="json")
    assert other.model_dump(mode="json")["constraints"]["max_p95_seconds"] == 2.0


@pytest.mark.parametrize(
    "limits",
    [
        {"max_cost_per_query": -1},
        {"max_p95_seconds": 0},
        {"max_tuning_hours": -0.1},
        {"max_tuning_hours": float("inf")},
    ],
)
def test_a_limit_that_nothing_can_meet_or_break_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ConstraintSettings(**limits)


def test_the_study_file_sets_limits_and_refuses_unknown_ones(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "name: a\ncorpus: {folder: pdfs}\nverdict: {constraints: {max_tuning_hours: 0}}\n", encoding="utf-8"
    )
    assert load_study(path).verdict.constraints == ConstraintSettings(max_tuning_hours=0)
    overrides = ["verdict.constraints.max_p95_seconds=2", "latency.enabled=true"]
    assert load_study(path, overrides).verdict.constraints.max_p95_seconds == 2
    with pytest.raises(StudyError, match="did you mean 'max_p95_seconds'"):
        load_study(path, ["verdict.constraints.max_p95=2"])
