"""Which arms meet the study's constraints, and the verdict among those (fairness rule 9).

An arm is kept out where it breaks a limit and also where it is not shown to keep one: what was not measured is not met.
The p95 is held to its limit as the point estimate of `evals.latency`, not as the upper end of its interval, which under
72 requests does not exist; so are cost and tuning time. The comparisons are made, and corrected by Holm, among the arms
that are left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from fourfold.errors import InputError
from fourfold.evals.verdict import ArmResults, Ruling, Verdict, decide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fourfold.evals.cost import ArmCost, ArmUse
    from fourfold.evals.latency import ArmLatency
    from fourfold.study import ConstraintSettings

Constraint = Literal["max_cost_per_query", "max_p95_seconds", "max_tuning_hours"]

_WORDS: Mapping[Constraint, str] = {
    "max_cost_per_query": "cost a query",
    "max_p95_seconds": "p95",
    "max_tuning_hours": "tuning",
}
_NO_LATENCY = "seconds were not measured: set latency.enabled"
_MORE_REQUESTS = "raise latency.n_questions or ask more test questions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One quantity, at least 0. `value` is None exactly where `reason` says why and what to set to measure it."""

    value: float | None
    unit: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmQuantities:
    """What one arm is held to.

    Args:
        arm: its name.
        cost_per_query: fixed cost spread over the queries included, in the currency; tokens where no price is set.
        p95_seconds: the 95th percentile of its waiting times, one request at a time; a point estimate.
        tuning_hours: machine hours to write tuning questions and tune the adapter; 0 for an arm that needs neither.
    """

    arm: str
    cost_per_query: Measured
    p95_seconds: Measured
    tuning_hours: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintCheck:
    """One arm against one limit.

    Args:
        arm: its name.
        constraint: the setting's name.
        limit: the most that is allowed, itself included.
        value: what was measured; None where nothing was.
        unit: of both.
        met: None where nothing was measured; the arm is kept out all the same.
        reason: why there is no value and what to set to measure it; None where there is one.
    """

    arm: str
    constraint: Constraint
    limit: float
    value: float | None
    unit: str
    met: bool | None
    reason: str | None


def arm_quantities(
    uses: Sequence[ArmUse], bills: Sequence[ArmCost], latencies: Sequence[ArmLatency]
) -> tuple[ArmQuantities, ...]:
    """What every arm is held to.

    Args:
        uses: one per arm, with the seconds of tuning also where nothing is priced.
        bills: of the same arms in the same order.
        latencies: of these and any other arms; empty where seconds were not measured.

    Returns:
        One entry per arm.

    Raises:
        InputError: uses and bills are of different arms.
    """
    if [use.arm for use in uses] != [bill.arm for bill in bills]:
        raise InputError(
            "uses and bills are of different arms",
            seen=f"{[use.arm for use in uses]} against {[bill.arm for bill in bills]}",
            expected="the same arms in the same order",
            hint="make both from the study's arms",
        )
    by_arm = {latency.arm: latency for latency in latencies}
    return tuple(
        ArmQuantities(
            arm=use.arm,
            cost_per_query=_cost(bill),
            p95_seconds=_p95(by_arm.get(use.arm)),
            tuning_hours=Measured(value=use.tuning_seconds / 3600, unit="h", reason=None),
        )
        for use, bill in zip(uses, bills, strict=True)
    )


def _cost(bill: ArmCost) -> Measured:
    if bill.total is None:
        return Measured(value=None, unit=bill.unit, reason=bill.reason)
    return Measured(value=bill.total / bill.n_queries, unit=bill.unit, reason=None)


def _p95(latency: ArmLatency | None) -> Measured:
    if latency is None:
        return Measured(value=None, unit="s", reason=_NO_LATENCY)
    if latency.p95.value is None:
        return Measured(value=None, unit="s", reason=f"{latency.p95.reason}: {_MORE_REQUESTS}")
    return Measured(value=latency.p95.value, unit="s", reason=None)


def check_constraints(quantities: Sequence[ArmQuantities], settings: ConstraintSettings) -> tuple[ConstraintCheck, ...]:
    """Holds every arm to every limit that is set.

    Args:
        quantities: one per arm.
        settings: the limits.

    Returns:
        One check per arm and limit, arm by arm; none without limits.
    """
    checks = []
    for own in quantities:
        pairs: tuple[tuple[Constraint, float | None, Measured], ...] = (
            ("max_cost_per_query", settings.max_cost_per_query, own.cost_per_query),
            ("max_p95_seconds", settings.max_p95_seconds, own.p95_seconds),
            ("max_tuning_hours", settings.max_tuning_hours, own.tuning_hours),
        )
        checks += [_check(own.arm, name, limit, measured) for name, limit, measured in pairs if limit is not None]
    return tuple(checks)


def _check(arm: str, constraint: Constraint, limit: float, measured: Measured) -> ConstraintCheck:
    return ConstraintCheck(
        arm=arm,
        constraint=constraint,
        limit=limit,
        value=measured.value,
        unit=measured.unit,
        met=None if measured.value is None else measured.value <= limit,
        reason=measured.reason,
    )


def decide_within(
    arms: Sequence[ArmResults],
    clusters: Mapping[str, str],
    checks: Sequence[ConstraintCheck],
    *,
    margin: float = 0.05,
    level: float = 0.05,
) -> Verdict:
    """The verdict among the arms that meet every constraint; its reason names the others and what keeps them out.

    Args:
        arms: as for `decide`.
        clusters: cluster per question id.
        checks: of every arm of `arms`; empty without constraints.
        margin: as for `decide`.
        level: as for `decide`.

    Returns:
        The verdict on the arms that are left: the others stand in none of its fields. With no arm left its outcome is
        "no arm shown to meet the constraints", both rulings and `n_failed` are empty, and no number of questions is
        named.

    Raises:
        FairnessError: as `decide`.
        InputError: as `decide`; or there are checks, but none of some arm.
    """
    if checks and (unchecked := [arm.arm for arm in arms if arm.arm not in {check.arm for check in checks}]):
        raise InputError(
            "an arm was not held to the constraints",
            seen=unchecked,
            expected="checks of every arm of the verdict",
            hint="give the quantities of every arm to check_constraints",
        )
    broken = [check for check in checks if not check.met]
    kept = [arm for arm in arms if arm.arm not in {check.arm for check in broken}]
    told = _kept_out([arm.arm for arm in arms], broken)
    if arms and not kept:
        return _none_left(told, n_questions=len(arms[0].scores), margin=margin, level=level)
    verdict = decide(kept, clusters, margin=margin, level=level)
    return replace(verdict, reason=f"{verdict.reason} {told}") if told else verdict


def _none_left(told: str, *, n_questions: int, margin: float, level: float) -> Verdict:
    why = "no arm is shown to meet the constraints"
    nothing = Ruling(
        means=(), comparisons=(), qualified=(), excluded=(), winner=None, n_needed=None, n_needed_reason=why
    )  # fmt: skip
    return Verdict(
        outcome="no arm shown to meet the constraints",
        winner=None,
        reason=f"{why.capitalize()}. {told}",
        n_needed=None,
        n_needed_reason=why,
        finished=nothing,
        failed_as_wrong=nothing,
        n_failed=(),
        n_questions=n_questions,
        margin=margin,
        level=level,
    )


def _kept_out(arms: Sequence[str], broken: Sequence[ConstraintCheck]) -> str:
    """'Kept out by the constraints: rag (p95 3.2 s, at most 2 s).'; empty where no arm is."""
    told = {arm: ", ".join(_in_words(check) for check in broken if check.arm == arm) for arm in arms}
    listed = "; ".join(f"{arm} ({text})" for arm, text in told.items() if text)
    return f"Kept out by the constraints: {listed}." if listed else ""


def _in_words(check: ConstraintCheck) -> str:
    word = _WORDS[check.constraint]
    if check.value is None:
        return f"{word} not shown to be at most {check.limit:g} {check.unit}: {check.reason}"
    return f"{word} {check.value:g} {check.unit}, at most {check.limit:g} {check.unit}"
