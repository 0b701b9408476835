from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, special

from fourfold.errors import FairnessError, InputError
from fourfold.evals.break_even import BreakEven, PricedArm, break_even
from fourfold.evals.cost import ArmCost, QueryCosts

BOTH = ("tuned", "rag")


def priced(arm: str, fixed: float | None, queries: Sequence[float | None], **fields: Any) -> PricedArm:
    """An arm whose questions are q0, q1, … in sections of their own."""
    known = [value for value in queries if value is not None]
    defaults: dict[str, Any] = {
        "arm": arm, "unit": "USD", "parts": (), "fixed": fixed, "per_query": sum(known) / len(known) if known else None,
        "refresh": fixed, "storage_a_month": 0.0, "total": None, "n_queries": 1, "concurrency": None, "reason": None,
    }  # fmt: skip
    names = [f"q{k}" for k in range(len(queries))]
    costs = QueryCosts(
        arm=arm, values=dict(zip(names, queries, strict=True)), clusters={name: name for name in names}, reason=None
    )
    return PricedArm(cost=ArmCost(**{**defaults, **fields}), queries=costs)


def compare(
    tuned: tuple[float, Sequence[float | None]], rag: tuple[float, Sequence[float | None]], **fields: Any
) -> BreakEven:
    arms = {"tuned": priced("tuned", *tuned), "rag": priced("rag", *rag)}
    return break_even(arms, **{"tuned": "tuned", "rag": "rag", "qualified": BOTH, **fields})


def test_the_bills_cross_where_the_saving_has_paid_for_the_tuning() -> None:
    # 10 more once, .01 less a query: at 1,000 queries both cost 14.
    found = compare((12.0, [0.002] * 4), (2.0, [0.012] * 4))
    assert (found.outcome, found.n_queries, found.low, found.high) == ("from n", 1000, 1000, 1000)
    assert found.fixed_difference == 10
    assert found.saving is not None
    assert found.saving.value == pytest.approx(0.01)
    assert found.reason == "no variation: all values are equal"
    assert (found.unit, found.refreshes_a_month) == ("queries", None)


def test_the_interval_by_hand() -> None:
    # Savings 1, 2, 3: mean 2, standard error .57735, t(2, .975) = 4.30265; at 50% t(2, .75) = .81650: 2 +- .47140.
    found = compare((10.0, [0.0] * 3), (0.0, [1.0, 2.0, 3.0]), level=0.5)
    assert (found.outcome, found.n_queries) == ("from n", 5)
    assert (found.low, found.high) == (math.ceil(10 / 2.47140), math.ceil(10 / 1.52860))
    assert found.reason is None


@pytest.mark.parametrize(
    ("tuned", "rag", "outcome", "n_queries"),
    [
        ((10.0, 1.0), (0.0, 2.0), "from n", 10),
        ((10.0, 1.0), (0.0, 4.0), "from n", 4),  # 3.33: three queries do not pay for it yet
        ((10.0, 2.0), (0.0, 2.0), "never", None),
        ((10.0, 2.0), (0.0, 1.0), "never", None),
        ((0.5, 1.0), (0.0, 2.0), "from the first query", None),
        ((0.0, 1.0), (10.0, 2.0), "from the first query", None),
        ((0.0, 2.0), (10.0, 2.0), "from the first query", None),
        ((0.0, 2.0), (10.0, 1.0), "up to n", 10),
        ((0.0, 4.0), (10.0, 1.0), "up to n", 3),
        ((0.0, 4.0), (0.5, 1.0), "never", None),
        ((5.0, 1.0), (5.0, 2.0), "from the first query", None),
        ((5.0, 2.0), (5.0, 1.0), "never", None),
        ((5.0, 2.0), (5.0, 2.0), "never", None),
    ],
)
def test_every_position_of_two_bills_has_its_outcome(
    tuned: tuple[float, float], rag: tuple[float, float], outcome: str, n_queries: int | None
) -> None:
    found = compare((tuned[0], [tuned[1]] * 3), (rag[0], [rag[1]] * 3))
    assert (found.outcome, found.n_queries) == (outcome, n_queries)
    gains = {n: rag[0] + n * rag[1] - tuned[0] - n * tuned[1] for n in range(1, 30)}
    expected = {
        "from n": [n for n in gains if n_queries and n >= n_queries and gains[n] != 0],
        "up to n": [n for n in gains if n_queries and n <= n_queries and gains[n] != 0],
        "from the first query": list(gains),
        "never": [],
    }
    assert [n for n in gains if gains[n] > 0] == expected[outcome]


def test_rounding_in_double_precision_adds_no_query() -> None:
    assert 0.07 / 0.01 > 7
    assert compare((0.07, [0.0] * 3), (0.0, [0.01] * 3)).n_queries == 7


def test_a_saving_that_may_be_0_leaves_no_upper_end() -> None:
    found = compare((10.0, [0.0] * 4), (0.0, [3.0, -1.0, 2.0, 0.0]))
    assert (found.outcome, found.n_queries, found.high) == ("from n", 10, None)
    assert found.low is not None
    assert found.low < 10
    assert found.reason == "the interval of the saving a query reaches 0: the bills may never cross"


def test_never_may_still_have_an_earliest_crossing() -> None:
    found = compare((10.0, [0.0] * 4), (0.0, [-3.0, 1.0, -2.0, 0.0]))
    assert (found.outcome, found.n_queries, found.high) == ("never", None, None)
    assert found.low is not None
    sure = compare((10.0, [0.0] * 4), (0.0, [-3.0, -3.1, -2.9, -3.0]))
    assert (sure.outcome, sure.low, sure.high) == ("never", None, None)
    assert sure.reason == "no crossing anywhere in the interval of the saving a query"


def test_one_cluster_gives_a_crossing_without_an_interval() -> None:
    found = compare((10.0, [0.0]), (0.0, [1.0]))
    assert (found.outcome, found.n_queries, found.low, found.high) == ("from n", 10, None, None)
    assert (found.reason or "").startswith("no interval: one cluster")


def test_only_questions_that_both_finished_count() -> None:
    found = compare((10.0, [0.0, None, 0.0, 0.0]), (0.0, [1.0, 99.0, None, 1.0]))
    assert found.n_queries == 10
    assert found.saving is not None
    assert (found.saving.n, found.saving.n_missing) == (2, 2)
    none = compare((10.0, [None, 1.0]), (0.0, [1.0, None]))
    assert (none.outcome, none.reason) == ("not known", "no question was finished by both")


def test_arms_of_different_questions_are_not_compared() -> None:
    with pytest.raises(FairnessError):
        compare((10.0, [0.0, 0.0]), (0.0, [1.0]))


def fieller_by_search(fixed: float, savings: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Fieller's set from its definition: the n at which the t test of mean(n d - fixed) = 0 does not reject."""
    t = float(special.stdtrit(len(savings) - 1, (1 + level) / 2))

    def excess(n: float) -> float:
        values = n * savings - fixed
        return float(abs(values.mean()) - t * values.std(ddof=1) / math.sqrt(len(values)))

    middle = fixed / float(savings.mean())
    low = optimize.brentq(excess, 1e-9, middle)
    return float(low), float(optimize.brentq(excess, middle, 1e9))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_agrees_with_fiellers_definition(level: float) -> None:
    savings = np.random.default_rng(3).normal(0.01, 0.004, size=25)
    found = compare((123.0, [0.0] * 25), (0.0, savings.tolist()), level=level)
    low, high = fieller_by_search(123.0, savings, level)
    assert (found.low, found.high) == (math.ceil(low), math.ceil(high))


def test_the_interval_covers_the_true_crossing() -> None:
    rng = np.random.default_rng(11)
    # A saving of 1.5 standard errors, where the symmetric interval of the delta method would miss most.
    inside = []
    for _ in range(400):
        rag = rng.normal(0.03, 0.08, size=16).tolist()
        found = compare((300.0, [0.0] * 16), (0.0, rag))
        inside.append(found.low is not None and found.low <= 10_000 and (found.high is None or found.high >= 10_000))
    # .95 within 3 standard errors of 400 draws.
    assert 0.917 <= np.mean(inside) <= 0.983


def test_refreshes_shift_the_crossing_to_queries_a_month() -> None:
    # Storage .4 against .1 a month, a refresh 5 against 1: .3 + 4 r, divided by .01 a query.
    arms = {
        "tuned": priced("tuned", 9.0, [0.002] * 4, refresh=5.0, storage_a_month=0.4),
        "rag": priced("rag", 2.0, [0.012] * 4, refresh=1.0, storage_a_month=0.1),
    }
    found = [
        break_even(arms, tuned="tuned", rag="rag", qualified=BOTH, refreshes_a_month=r).n_queries for r in (0, 1, 4)
    ]
    assert found == [30, 430, 1630]
    monthly = break_even(arms, tuned="tuned", rag="rag", qualified=BOTH, refreshes_a_month=1)
    assert (monthly.unit, monthly.refreshes_a_month) == ("queries a month", 1)
    assert monthly.fixed_difference == pytest.approx(4.3)


@pytest.mark.parametrize(
    ("qualified", "reason"),
    [
        (("rag",), "'tuned' not qualified"),
        (("tuned", "base"), "'rag' not qualified"),
        ((), "'tuned' and 'rag' not qualified"),
    ],
)
def test_an_arm_that_does_not_qualify_is_not_compared(qualified: Sequence[str], reason: str) -> None:
    found = compare((10.0, [0.0] * 3), (0.0, [1.0] * 3), qualified=qualified)
    assert (found.outcome, found.n_queries, found.saving) == ("not known", None, None)
    assert (found.reason or "").startswith(reason)


def test_an_arm_that_the_study_lacks_is_named() -> None:
    arms = {"tuned": priced("tuned", 1.0, [1.0] * 3), "rag": priced("rag", 1.0, [1.0] * 3)}
    found = break_even(arms, tuned="tuned", rag="rag n-shot", qualified=("tuned", "rag n-shot"))
    assert (found.outcome, found.reason) == ("not known", "the study has no arm 'rag n-shot'")


def test_an_arm_without_a_price_is_named_with_its_reason() -> None:
    arms = {"tuned": priced("tuned", None, [1.0] * 3, reason="tuning: no price"), "rag": priced("rag", 0.0, [1.0] * 3)}
    found = break_even(arms, tuned="tuned", rag="rag", qualified=BOTH)
    assert (found.outcome, found.reason) == ("not known", "'tuned' has no cost: tuning: no price")


def test_costs_one_by_one_that_were_not_measured_are_named() -> None:
    rag = priced("rag", 0.0, [1.0] * 3)
    unmeasured = replace(rag, queries=QueryCosts(arm="rag", values={}, clusters={}, reason="not measured"))
    found = break_even(
        {"tuned": priced("tuned", 1.0, [1.0] * 3), "rag": unmeasured}, tuned="tuned", rag="rag", qualified=BOTH
    )
    assert found.reason == "'rag' has no cost a query: not measured"


def test_two_units_are_not_compared() -> None:
    arms = {"tuned": priced("tuned", 1.0, [1.0] * 3), "rag": priced("rag", 1.0, [1.0] * 3, unit="EUR")}
    found = break_even(arms, tuned="tuned", rag="rag", qualified=BOTH)
    assert (found.outcome, found.reason) == ("not known", "the two arms' costs are in different units")


@pytest.mark.parametrize("refreshes", [-1.0, math.inf, math.nan])
def test_impossible_refreshes_are_refused(refreshes: float) -> None:
    with pytest.raises(InputError, match="refreshes"):
        compare((10.0, [0.0] * 3), (0.0, [1.0] * 3), refreshes_a_month=refreshes)


def test_a_level_outside_0_to_1_is_refused() -> None:
    with pytest.raises(InputError, match="level"):
        compare((10.0, [0.0] * 3), (0.0, [1.0] * 3), level=1.0)
