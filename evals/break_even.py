"""From how many queries on a tuned arm is cheaper than a RAG arm, with its interval.

Both bills are lines over the number of queries, F + n c; they cross at n* = (F_tuned - F_rag) / (c_rag - c_tuned).
The interval is Fieller's (1954, Journal of the Royal Statistical Society B 16(2)): all n at which the mean of
n (c_rag - c_tuned) - (F_tuned - F_rag) is not shown to differ from 0. Fixed costs are measured once and taken as known,
so that it becomes the fixed difference divided by the ends of the interval of the saving a query. The delta method
would give n* +- t se, which is symmetric and always finite: near a saving of 0, where n* runs to infinity and the
honest upper end is "never", it covers too seldom (Franz 2007, arXiv:0710.2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.compare import paired_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fourfold.evals.cost import ArmCost, QueryCosts
    from fourfold.evals.estimate import Estimate

Outcome = Literal["from n", "from the first query", "up to n", "never", "not known"]
_SAME = 1e-9
# Relative: 0.07 / 0.01 is 7.000000000000001 in double precision and must not be rounded up to 8.


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedArm:
    """One arm's bill, and its queries' costs one by one."""

    cost: ArmCost
    queries: QueryCosts


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Where the tuned arm's bill crosses the RAG arm's.

    Args:
        tuned: name of the tuned arm.
        rag: name of the RAG arm.
        outcome: "from n": the tuned arm costs no more from `n_queries` on; "up to n": only up to there; "never": at no
            number of queries is it cheaper.
        n_queries: the crossing, at least 1, rounded up for "from n" and down for "up to n"; None for other outcomes.
        low: lower end of the crossing's interval, queries; None where no crossing lies within the saving's interval.
        high: upper end, queries; None where it has none.
        unit: "queries", or "queries a month" where the corpus is refreshed.
        refreshes_a_month: of the corpus; None for one study without refreshes.
        saving: mean of c_rag - c_tuned over the questions that both finished, currency a query.
        fixed_difference: F_tuned - F_rag, currency (a month, with refreshes).
        reason: why something is None or not known; None where nothing is.
    """

    tuned: str
    rag: str
    outcome: Outcome
    n_queries: int | None
    low: int | None
    high: int | None
    unit: Literal["queries", "queries a month"]
    refreshes_a_month: float | None
    saving: Estimate | None
    fixed_difference: float | None
    reason: str | None


def break_even(
    arms: Mapping[str, PricedArm],
    *,
    tuned: str,
    rag: str,
    qualified: Sequence[str],
    refreshes_a_month: float | None = None,
    level: float = 0.95,
) -> BreakEven:
    """The number of queries from which the tuned arm is cheaper than the RAG arm.

    With refreshes it is a number of queries a month: each refresh repeats what follows from the corpus (index, tuning),
    storage is paid every month, and the first build is left out: q* = (S_tuned - S_rag + r (R_tuned - R_rag)) /
    (c_rag - c_tuned), with S storage a month, R one refresh, r refreshes a month.

    Args:
        arms: by name, in one currency.
        tuned: the tuned arm.
        rag: the RAG arm.
        qualified: the arms that the verdict shows not worse than any other; others are not compared.
        refreshes_a_month: at least 0; None for a study without refreshes.
        level: coverage of the interval, in (0, 1).

    Raises:
        InputError: refreshes are negative or infinite, or `level` is outside (0, 1).
        FairnessError: the two arms' costs are of different questions.
    """
    if refreshes_a_month is not None and not 0 <= refreshes_a_month < math.inf:
        raise InputError(
            "the refreshes a month are wrong",
            seen=refreshes_a_month,
            expected="a finite number, at least 0",
            hint="1 is a refresh every month, 0.25 one every four months",
        )
    bare = BreakEven(
        tuned=tuned, rag=rag, outcome="not known", n_queries=None, low=None, high=None,
        unit="queries" if refreshes_a_month is None else "queries a month", refreshes_a_month=refreshes_a_month,
        saving=None, fixed_difference=None, reason=None,
    )  # fmt: skip
    if problem := _why_not(arms, (tuned, rag), qualified):
        return replace(bare, reason=problem)
    fixed = _fixed_difference(arms[tuned].cost, arms[rag].cost, refreshes_a_month)
    costs = (arms[rag].queries.values, arms[tuned].queries.values)
    saving = cluster_mean(*paired_values(*costs, arms[rag].queries.clusters), level=level)
    if saving.value is None:
        return replace(bare, saving=saving, fixed_difference=fixed, reason="no question was finished by both")
    return _cross(replace(bare, saving=saving, fixed_difference=fixed), fixed, saving.value, saving)


def _why_not(arms: Mapping[str, PricedArm], names: tuple[str, str], qualified: Sequence[str]) -> str | None:
    """Why the two are not compared; None where they are."""
    for name in names:
        if name not in arms:
            return f"the study has no arm '{name}'"
    if out := [f"'{name}'" for name in names if name not in qualified]:
        return f"{' and '.join(out)} not qualified: not shown to be within the margin of every other arm"
    for name in names:
        cost = arms[name].cost
        if cost.fixed is None or cost.per_query is None:
            return f"'{name}' has no cost: {cost.reason}"
        if arms[name].queries.reason is not None:
            return f"'{name}' has no cost a query: {arms[name].queries.reason}"
    if len({arms[name].cost.unit for name in names}) > 1:
        return "the two arms' costs are in different units"
    return None


def _fixed_difference(tuned: ArmCost, rag: ArmCost, refreshes: float | None) -> float:
    assert tuned.fixed is not None
    assert rag.fixed is not None
    if refreshes is None:
        return tuned.fixed - rag.fixed
    # Known, because the fixed cost that they make up is.
    assert tuned.storage_a_month is not None
    assert rag.storage_a_month is not None
    assert tuned.refresh is not None
    assert rag.refresh is not None
    return tuned.storage_a_month - rag.storage_a_month + refreshes * (tuned.refresh - rag.refresh)


def _cross(bare: BreakEven, fixed: float, saving: float, interval: Estimate) -> BreakEven:
    """Outcome and interval from the fixed difference and the saving a query.

    A crossing exists where the arm that costs more once costs less a query: `gain` is that arm's saving a query.
    """
    if fixed == 0:
        outcome: Outcome = "from the first query" if saving > 0 else "never"
        why = "the fixed costs are equal: no crossing" if saving else "both arms cost the same"
        return replace(bare, outcome=outcome, reason=why)
    dearer_is_tuned = fixed > 0
    sign = 1 if dearer_is_tuned else -1
    low, high, reason = _ends(abs(fixed), sign, interval, round_up=dearer_is_tuned)
    gain = sign * saving
    crossing = _whole(abs(fixed) / gain, up=dearer_is_tuned) if gain > 0 else None
    if dearer_is_tuned:
        outcome = "never" if crossing is None else "from the first query" if crossing <= 1 else "from n"
    else:
        outcome = "from the first query" if crossing is None else "never" if crossing < 1 else "up to n"
    n_queries = crossing if outcome in {"from n", "up to n"} else None
    return replace(bare, outcome=outcome, n_queries=n_queries, low=low, high=high, reason=reason)


def _ends(fixed: float, sign: int, saving: Estimate, *, round_up: bool) -> tuple[int | None, int | None, str | None]:
    """Fieller's interval of the crossing, and why an end is missing."""
    if saving.low is None or saving.high is None:
        return None, None, f"no interval: {saving.reason}"
    least, most = sorted((sign * saving.low, sign * saving.high))
    if most <= 0:
        return None, None, "no crossing anywhere in the interval of the saving a query"
    low = max(1, _whole(fixed / most, up=round_up))
    if least <= 0:
        return low, None, "the interval of the saving a query reaches 0: the bills may never cross"
    return low, max(1, _whole(fixed / least, up=round_up)), saving.reason


def _whole(n: float, *, up: bool) -> int:
    return math.ceil(n * (1 - _SAME)) if up else math.floor(n * (1 + _SAME))
