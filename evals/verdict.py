"""The verdict rule (fairness rules 9, 10): the cheapest arm shown not worse than any other, or "not enough evidence".

Every ordered pair of arms (i, j) is tested both ways with the cluster-robust t: is i shown not worse than j by the
margin, is j shown better than i by more than it. Holm corrects over all of these tests together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import growth_needed
from fourfold.evals.compare import Comparison, compare_all, paired_values
from fourfold.evals.seed_scores import Scores, on_each, scores_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fourfold.evals.estimate import Estimate

POWER = 0.8
# The usual chance of success for which a sample size is planned (Cohen 1988, section 2.4).

Outcome = Literal["decided", "not enough evidence", "no arm shown to meet the constraints"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResults:
    """One arm's scores on the primary metric.

    Args:
        arm: its name.
        scores: in [0, 1] per question id; None for a failed item. `SeedScores` for an arm with several tuning seeds.
        mean_cost: per query, at least 0, in one unit for all arms.
    """

    arm: str
    scores: Mapping[str, float | None]
    mean_cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """Rule 9 under one way of counting failed items; arms stand cheapest first.

    Args:
        means: each arm's own mean under that way of counting.
        comparisons: of every ordered pair.
        qualified: arms shown non-inferior to every other arm.
        excluded: arms that some other arm is shown to beat by more than the margin.
        winner: the cheapest qualified arm if every cheaper one is excluded, else None.
        n_needed: test questions that should settle it, in more clusters of the present sizes; None with a winner or
            where no number can be named.
        n_needed_reason: why `n_needed` is None; None where it is not.
    """

    means: tuple[tuple[str, Estimate], ...]
    comparisons: tuple[Comparison, ...]
    qualified: tuple[str, ...]
    excluded: tuple[str, ...]
    winner: str | None
    n_needed: int | None
    n_needed_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome with everything it rests on.

    Args:
        outcome: "decided" exactly where there is a winner; of no arm within the constraints see `decide_within`.
        winner: the arm chosen, or None.
        reason: one or more sentences for the report.
        n_needed: as in `finished`; None where failures decide although the finished pairs have a winner.
        n_needed_reason: why `n_needed` is None; None where it is not.
        finished: rule 9 on the pairs that both arms finished; the verdict rests on it.
        failed_as_wrong: rule 9 with failed items counted as 0; a different winner here undoes the verdict.
        n_failed: failed items per arm, cheapest arm first.
        n_questions: test questions.
        margin: the difference that counts as none.
        level: level of the tests together.
    """

    outcome: Outcome
    winner: str | None
    reason: str
    n_needed: int | None
    n_needed_reason: str | None
    finished: Ruling
    failed_as_wrong: Ruling
    n_failed: tuple[tuple[str, int], ...]
    n_questions: int
    margin: float
    level: float


def decide(
    arms: Sequence[ArmResults], clusters: Mapping[str, str], *, margin: float = 0.05, level: float = 0.05
) -> Verdict:
    """Applies the verdict rule to the arms that meet the study's constraints.

    Equal costs are broken by the order of `arms`. A single arm wins as soon as it has one score. Arms with the same
    scores throughout differ by exactly 0: the cheapest wins once there are clusters enough for the worst case of
    `test_of` (121 for four arms at margin and level .05).

    Args:
        arms: at least one, names distinct, all on the same questions.
        clusters: cluster per question id.
        margin: the difference in score that counts as none, in (0, 1).
        level: level of all tests together, in (0, 1).

    Returns:
        The verdict.

    Raises:
        FairnessError: the arms' questions differ.
        InputError: no arm, a name twice, a cost, score, margin or level out of range, a question without cluster.
    """
    _check(arms, margin=margin, level=level)
    for arm in arms:
        # For its checks: every arm on the same questions, every question in a cluster.
        paired_values(arms[0].scores, arm.scores, clusters)
    # sorted() keeps the given order among equal costs.
    order = sorted(arms, key=lambda arm: arm.mean_cost)
    finished = _rule(order, clusters, margin=margin, level=level)
    failed_as_wrong = _rule([_count_failed_as_wrong(arm) for arm in order], clusters, margin=margin, level=level)
    failures_decide = finished.winner != failed_as_wrong.winner
    winner = None if failures_decide else finished.winner
    n_needed_reason = finished.n_needed_reason
    if failures_decide and finished.winner is not None:
        n_needed_reason = "failures decide: answer the failed items rather than more questions"
    return Verdict(
        outcome="not enough evidence" if winner is None else "decided",
        winner=winner,
        reason=_reason(order, finished, failed_as_wrong, margin=margin),
        n_needed=finished.n_needed,
        n_needed_reason=n_needed_reason,
        finished=finished,
        failed_as_wrong=failed_as_wrong,
        n_failed=tuple((arm.arm, sum(score is None for score in arm.scores.values())) for arm in order),
        n_questions=len(order[0].scores),
        margin=margin,
        level=level,
    )


def winner_of(order: Sequence[str], *, qualified: Collection[str], excluded: Collection[str]) -> str | None:
    """The cheapest qualified arm if every cheaper one is excluded, else None; `order` is cheapest first."""
    first = next((name for name in order if name not in excluded), None)
    return first if first in qualified else None


def _rule(order: Sequence[ArmResults], clusters: Mapping[str, str], *, margin: float, level: float) -> Ruling:
    """Rule 9 on arms ordered by cost."""
    names = [arm.arm for arm in order]
    means = tuple((arm.arm, scores_mean(arm.scores, clusters)) for arm in order)
    comparisons = compare_all({arm.arm: arm.scores for arm in order}, clusters, margin=margin, level=level)
    # An arm without a single score has shown nothing, also where there is no other arm to compare it with.
    unproven = {name for name, mean in means if mean.value is None}
    unproven |= {comparison.i for comparison in comparisons if not comparison.non_inferior}
    excluded = {comparison.i for comparison in comparisons if comparison.excludes}
    qualified = tuple(name for name in names if name not in unproven)
    ruling = Ruling(
        means=means,
        comparisons=comparisons,
        qualified=qualified,
        excluded=tuple(name for name in names if name in excluded),
        winner=winner_of(names, qualified=qualified, excluded=excluded),
        n_needed=None,
        n_needed_reason="decided",
    )
    return ruling if ruling.winner is not None else _plan(ruling, margin=margin, level=level, n=len(order[0].scores))


def _plan(ruling: Ruling, *, margin: float, level: float, n: int) -> Ruling:
    """Adds the number of questions at which the shortest route to a decision would be open.

    A route is a winner-to-be: it must become non-inferior to every other arm, and every cheaper arm must be excluded
    by some other. Each test still open needs the sample size of Holm's strictest level and a power of its own of 80%.
    `n` are the questions asked, finished or not: the share that fails is taken to stay.
    """
    shortest, to_exclude_cheaper = math.inf, 0.0
    for name, _ in ruling.means:
        rivals = [comparison for comparison in ruling.comparisons if comparison.i == name]
        sizes = [
            _growths(comparison, margin=margin, alpha=level / (2 * len(ruling.comparisons))) for comparison in rivals
        ]
        to_qualify = max((size for size, _ in sizes), default=math.inf)
        shortest = min(shortest, max(to_qualify, to_exclude_cheaper))
        to_exclude_cheaper = max(to_exclude_cheaper, min((size for _, size in sizes), default=math.inf))
    if math.isfinite(shortest):
        # The z approximation can name fewer questions than were not enough: the t at few clusters asks for more.
        return replace(ruling, n_needed=max(math.ceil(shortest * n), n + 1), n_needed_reason=None)
    gaps = [comparison.difference.reason for comparison in ruling.comparisons if comparison.difference.se is None]
    if gaps:
        return replace(ruling, n_needed_reason=f"a difference has no standard error ({gaps[0]})")
    if not ruling.comparisons:
        return replace(ruling, n_needed_reason="no scores")
    reason = "on every route to a decision an observed difference lies on the margin or on its wrong side"
    return replace(ruling, n_needed_reason=reason)


def _growths(comparison: Comparison, *, margin: float, alpha: float) -> tuple[float, float]:
    """Growth of the sample for i to be shown non-inferior to j, and to be excluded by it: 0 done, infinite never."""
    qualify = growth_needed(comparison.difference, null=-margin, alternative="greater", alpha=alpha, power=POWER)
    exclude = growth_needed(comparison.difference, null=-margin, alternative="less", alpha=alpha, power=POWER)
    return (
        0.0 if comparison.non_inferior else math.inf if qualify is None else qualify,
        0.0 if comparison.excludes else math.inf if exclude is None else exclude,
    )


def _count_failed_as_wrong(arm: ArmResults) -> ArmResults:
    return replace(arm, scores=on_each(arm.scores, wrong_where_failed))


def wrong_where_failed(scores: Scores) -> Scores:
    """The scores with failed items counted as 0 (fairness rule 10)."""
    return {question: 0.0 if score is None else score for question, score in scores.items()}


def _reason(order: Sequence[ArmResults], finished: Ruling, failed_as_wrong: Ruling, *, margin: float) -> str:
    """The verdict in sentences."""
    if finished.winner != failed_as_wrong.winner:
        text = (
            f"Failures decide: {finished.winner or 'no arm'} wins on the pairs that both arms finished, "
            f"{failed_as_wrong.winner or 'no arm'} with failed items counted as wrong."
        )
    elif finished.winner is None:
        text = _why_open(finished, margin=margin)
    else:
        text = _why_decided(finished, finished.winner, margin=margin)
    if len({arm.mean_cost for arm in order}) < len(order):
        text += " Arms of equal cost stand in the order given."
    return text


def _why_decided(ruling: Ruling, winner: str, *, margin: float) -> str:
    if not ruling.comparisons:
        return f"{winner} is the only arm: there is nothing to compare it with."
    text = f"{winner} is the cheapest arm shown not worse than any other by {margin:g}"
    if ruling.excluded:
        text += f"; shown worse than another by more than that: {', '.join(ruling.excluded)}"
    flat = [
        comparison.j for comparison in ruling.comparisons if comparison.i == winner and comparison.difference.se == 0
    ]
    if all(comparison.difference.se == comparison.difference.value == 0 for comparison in ruling.comparisons):
        text += "; all scores are the same, so every difference is exactly 0 with a standard error of 0"
    elif flat:
        text += f"; its difference to {', '.join(flat)} is the same on every question, a standard error of 0"
    return f"{text}."


def _why_open(ruling: Ruling, *, margin: float) -> str:
    candidate = next((name for name, _ in ruling.means if name not in ruling.excluded), None)
    if candidate is None:
        return f"Not enough evidence: every arm is shown worse than another by more than {margin:g}."
    against = [
        comparison.j for comparison in ruling.comparisons if comparison.i == candidate and not comparison.non_inferior
    ]
    text = f"Not enough evidence: {candidate} is the cheapest arm not shown worse than another by more than {margin:g}"
    text += f", and it is not shown non-inferior to {', '.join(against)}." if against else ", and it has no score."
    if ruling.n_needed is None:
        return f"{text} No number of questions can be named: {ruling.n_needed_reason}."
    return f"{text} About {ruling.n_needed:,} test questions, in clusters of the present sizes, should settle it."


def _check(arms: Sequence[ArmResults], *, margin: float, level: float) -> None:
    names = [arm.arm for arm in arms]
    for name, share in (("margin", margin), ("level", level)):
        if not 0 < share < 1:
            raise InputError(
                f"the verdict's {name} is wrong",
                seen=share,
                expected="a number between 0 and 1, both excluded",
                hint="0.05 is the default",
            )
    if not arms or len(set(names)) < len(names):
        raise InputError(
            "the verdict has no arms to choose from, or one twice",
            seen=names,
            expected="at least one arm, every name once",
            hint="give the arms that meet the study's constraints",
        )
    for arm in arms:
        if not (math.isfinite(arm.mean_cost) and arm.mean_cost >= 0):
            raise InputError(
                f"the cost of {arm.arm} is wrong",
                seen=arm.mean_cost,
                expected="a finite number, at least 0",
                hint="without prices give mean prompt + answer tokens",
            )
        for question, score in arm.scores.items():
            if score is not None and not 0 <= score <= 1:
                raise InputError(
                    f"a score of {arm.arm} is out of range",
                    seen=f"{score} at question {question!r}",
                    expected="a number from 0 to 1, or None for a failed item",
                    hint="decide on a metric between 0 and 1",
                )
