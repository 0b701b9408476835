"""Arms' scores, compared question by question: two arms with every interval, or all pairs with the verdict's two tests.

Fairness rules 8 and 9. A pair counts only where both arms finished the question.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

from fourfold.errors import FairnessError, InputError
from fourfold.evals.cluster_bootstrap import cluster_bootstrap
from fourfold.evals.cluster_robust import test_of
from fourfold.evals.estimate import Estimate, PValue
from fourfold.evals.holm import holm
from fourfold.evals.seed_scores import paired_mean
from fourfold.evals.sign_flip import sign_flip_p
from fourfold.evals.wild_bootstrap import wild_interval, wild_p

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The mean of a - b over the questions that both finished.

    With several tuning seeds all but `difference` are of the per-question means over the seeds.

    Args:
        difference: with the cluster-robust t interval, seeds as a random factor; the one that is reported.
        wild: with the wild cluster bootstrap-t interval.
        wild_p: wild bootstrap-t test of no difference, two-sided.
        bootstrap: with the percentile cluster bootstrap, from 30 clusters up.
        sign_flip: cluster-level sign-flip test of no difference, for right/wrong metrics.
        n: pairs, questions that both finished.
        n_missing: questions that at least one did not finish.
    """

    difference: Estimate
    wild: Estimate
    wild_p: PValue
    bootstrap: Estimate
    sign_flip: PValue
    n: int
    n_missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The two tests of the ordered pair (i, j).

    Args:
        i: the arm that is to qualify.
        j: the arm it is compared with.
        difference: mean(i - j) with its cluster-robust interval, not corrected for the number of comparisons.
        p_non_inferior: of H0 mean(i - j) <= -margin; None where it cannot be tested.
        p_superior: of H0 mean(j - i) <= margin; None where it cannot be tested.
        p_non_inferior_adjusted: by Holm over all tests of the verdict.
        p_superior_adjusted: by Holm over all tests of the verdict.
        non_inferior: i is shown not worse than j by the margin.
        excludes: j is shown better than i by more than the margin, so i is out.
    """

    i: str
    j: str
    difference: Estimate
    p_non_inferior: float | None
    p_superior: float | None
    p_non_inferior_adjusted: float | None
    p_superior_adjusted: float | None
    non_inferior: bool
    excludes: bool


def paired_difference(
    a: Mapping[str, float | None],
    b: Mapping[str, float | None],
    clusters: Mapping[str, str],
    *,
    seed: int,
    level: float = 0.95,
) -> PairedDifference:
    """Compares two arms on one metric.

    Args:
        a: score per question id; None where the arm failed on it or the metric is undefined.
        b: the same questions' scores of the other arm.
        clusters: cluster per question id.
        seed: of both bootstraps and of the sign-flip draws.
        level: coverage of the intervals, in (0, 1).

    Returns:
        The comparison. The sign-flip p is None unless every finished pair's scores are 0 or 1.

    Raises:
        FairnessError: the arms' questions differ.
        InputError: a question has no cluster, a score is NaN or infinite, or `level` is outside (0, 1).
    """
    differences, names = paired_values(a, b, clusters)
    difference = paired_mean(a, b, clusters, level=level)
    return PairedDifference(
        difference=difference,
        wild=wild_interval(differences, names, seed=seed, level=level),
        wild_p=wild_p(differences, names, seed=seed),
        bootstrap=cluster_bootstrap(differences, names, seed=seed, level=level),
        sign_flip=_sign_flip(a, b, (differences, names), seed=seed),
        n=difference.n,
        n_missing=difference.n_missing,
    )


def compare_all(
    scores: Mapping[str, Mapping[str, float | None]],
    clusters: Mapping[str, str],
    *,
    margin: float,
    level: float = 0.05,
) -> tuple[Comparison, ...]:
    """Tests every ordered pair of arms for non-inferiority and for superiority beyond the margin.

    Args:
        scores: per arm, its score per question id; None where it failed.
        clusters: cluster per question id.
        margin: the difference that counts as none, in the unit of the scores, above 0.
        level: level of all tests together (Holm), in (0, 1); the intervals cover 1 - level, each by itself.

    Returns:
        One comparison per ordered pair, none for a single arm.

    Raises:
        FairnessError: the arms' questions differ.
        InputError: a question has no cluster, a score is NaN or infinite, or `level` is outside (0, 1).
    """
    pairs = list(permutations(scores, 2))
    for i, j in pairs:
        # For its checks.
        paired_values(scores[i], scores[j], clusters)
    differences = [paired_mean(scores[i], scores[j], clusters, level=1 - level) for i, j in pairs]
    # mean(j - i) > margin is mean(i - j) < -margin: both tests have one border.
    non_inferior = [test_of(difference, null=-margin, alternative="greater").value for difference in differences]
    superior = [test_of(difference, null=-margin, alternative="less").value for difference in differences]
    adjusted = holm([*non_inferior, *superior])
    return tuple(
        Comparison(
            i=i,
            j=j,
            difference=differences[k],
            p_non_inferior=non_inferior[k],
            p_superior=superior[k],
            p_non_inferior_adjusted=adjusted[k],
            p_superior_adjusted=adjusted[len(pairs) + k],
            non_inferior=_rejected(adjusted[k], level),
            excludes=_rejected(adjusted[len(pairs) + k], level),
        )
        for k, (i, j) in enumerate(pairs)
    )


def _rejected(p_adjusted: float | None, level: float) -> bool:
    return p_adjusted is not None and p_adjusted <= level


def paired_values(
    a: Mapping[str, float | None], b: Mapping[str, float | None], clusters: Mapping[str, str]
) -> tuple[list[float | None], list[str]]:
    """The differences a - b with their clusters.

    Args:
        a: score per question id, None where it is missing.
        b: the same questions' scores of the other arm.
        clusters: cluster per question id.

    Returns:
        One difference and one cluster per question, in the order of `a`; None where either score is missing.

    Raises:
        FairnessError: the arms' questions differ.
        InputError: a question has no cluster, or a score is NaN or infinite.
    """
    if a.keys() != b.keys():
        odd = sorted(a.keys() ^ b.keys())
        raise FairnessError(
            "two arms were not given the same questions",
            seen=f"{len(odd)} questions of one arm only, {odd[0]!r} among them",
            expected="the same questions for both; None for an item that failed",
            hint="record failed items as None and answer the rest with both arms",
        )
    without = [question for question in a if question not in clusters]
    if without:
        raise InputError(
            "a question has no cluster",
            seen=f"{len(without)} questions, {without[0]!r} among them",
            expected="a document or section for every question",
            hint="make the clusters from the same questions with choose_clusters",
        )
    for score in (*a.values(), *b.values()):
        # Looked at here, for a NaN that stands beside a missing score would leave with its pair.
        if score is not None and not math.isfinite(score):
            raise InputError(
                "a score is not a number",
                seen=score,
                expected="a finite number, or None for a missing one",
                hint="give None where a score is undefined",
            )
    return [_minus(score, b[question]) for question, score in a.items()], [clusters[question] for question in a]


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _sign_flip(
    a: Mapping[str, float | None],
    b: Mapping[str, float | None],
    paired: tuple[Sequence[float | None], Sequence[str]],
    *,
    seed: int,
) -> PValue:
    """The test, where the scores that are compared are all right (1) or wrong (0)."""
    differences, names = paired
    finished = [(a[q], b[q]) for q in a if a[q] is not None and b[q] is not None]
    if all(score in {0, 1} for pair in finished for score in pair):
        return sign_flip_p(differences, names, seed=seed)
    return PValue(
        value=None,
        n=len(finished),
        n_missing=len(differences) - len(finished),
        n_clusters=len({name for value, name in zip(differences, names, strict=True) if value is not None}),
        method="cluster-level sign-flip",
        reason="not a right/wrong metric",
    )
