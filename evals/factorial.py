"""The 2 x 2 of retrieval and tuning: both main effects, and whether the two gains add up (fairness rule 3).

Every effect is one contrast per question, so its interval is that of a paired difference (fairness rule 8). Source:
Montgomery, Design and Analysis of Experiments, chapter on the 2^k factorial design (effects as contrasts). Where we
differ: its interaction is half of ours; ours reads as "retrieval's gain with the adapter minus its gain without".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.compare import paired_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fourfold.evals.estimate import Estimate

DECIMALS = 12
# Thirds and tenths that cancel leave 1e-17, which would pass for variation.

CELLS = ("base", "rag", "tuned", "tuned + rag")
# Weights of the cells in that order.
RETRIEVAL = (-0.5, 0.5, -0.5, 0.5)
TUNING = (-0.5, -0.5, 0.5, 0.5)
INTERACTION = (1.0, -1.0, -1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Factorial:
    """The effects, in the unit of the scores, each with the cluster-robust interval.

    Args:
        retrieval: the gain from retrieval, mean of that without and that with tuning.
        tuning: the gain from tuning, mean of that without and that with retrieval.
        interaction: (tuned + rag - tuned) - (rag - base). Below 0 the gains overlap, at 0 they add up, above 0 each
            makes the other larger. In [-2, 2] for scores in [0, 1].
    """

    retrieval: Estimate
    tuning: Estimate
    interaction: Estimate


def factorial(
    scores: Mapping[str, Mapping[str, float | None]], clusters: Mapping[str, str], *, level: float = 0.95
) -> Factorial:
    """Main effects and interaction over the questions that all four arms finished.

    Args:
        scores: per arm, its score per question id; None where it failed. Arms beside the four are not looked at.
        clusters: cluster per question id.
        level: coverage of each interval by itself, in (0, 1).

    Returns:
        The three effects; all None, with the arms that are missing as the reason, unless all four are there.

    Raises:
        FairnessError: the arms' questions differ.
        InputError: a question has no cluster, a score is NaN or infinite, or `level` is outside (0, 1).
    """
    given = [arm for arm in CELLS if arm in scores]
    for arm in given:
        # For its checks: every arm on the same questions, every question in a cluster.
        paired_values(scores[given[0]], scores[arm], clusters)
    missing = [arm for arm in CELLS if arm not in scores]
    questions = list(scores[given[0]]) if given else []
    rows = [[scores[arm][question] if arm in scores else None for arm in CELLS] for question in questions]
    names = [clusters[question] for question in questions]

    def effect(weights: Sequence[float]) -> Estimate:
        estimate = cluster_mean([_contrast(row, weights) for row in rows], names, level=level)
        if not missing:
            return estimate
        return replace(estimate, reason=f"the 2 x 2 lacks an arm: {', '.join(missing)}")

    return Factorial(retrieval=effect(RETRIEVAL), tuning=effect(TUNING), interaction=effect(INTERACTION))


def _contrast(row: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """The weighted sum of one question's scores; None where an arm has none."""
    total = 0.0
    for score, weight in zip(row, weights, strict=True):
        if score is None:
            return None
        total += weight * score
    return round(total, DECIMALS)
