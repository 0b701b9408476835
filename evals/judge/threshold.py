"""From which judge's score on an answer is called right: learned from labels, and tried on labels it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fourfold.evals.judge.cohen import cohen_kappa
from fourfold.evals.judge.rubric import RIGHT_FROM


def best_threshold(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The threshold at which Cohen's kappa between `score >= threshold` and the labels is largest.

    Between two neighbouring scores the middle stands for all; of equal kappas the one nearest to `RIGHT_FROM` wins,
    and `RIGHT_FROM` itself where no threshold has a kappa.

    Args:
        scores: the judge's, in [0, 1].
        labels: whether a person calls the answer right.
    """
    distinct = np.unique(np.array(scores, dtype=np.float64))
    candidates = [RIGHT_FROM, *((distinct[1:] + distinct[:-1]) / 2).tolist()]
    found = [
        (kappa, -abs(candidate - RIGHT_FROM), candidate)
        for candidate in candidates
        if (kappa := cohen_kappa([score >= candidate for score in scores], list(labels))) is not None
    ]
    return float(max(found)[2]) if found else RIGHT_FROM


def cross_fitted(scores: Sequence[float], labels: Sequence[bool], clusters: Sequence[str]) -> list[bool]:
    """Whether each score is called right, by the threshold that the other clusters' labels give.

    A threshold tried on the labels that it was chosen by looks better than it is.
    """
    decisions = [False] * len(scores)
    for name in set(clusters):
        others = [at for at, cluster in enumerate(clusters) if cluster != name]
        threshold = best_threshold([scores[at] for at in others], [labels[at] for at in others])
        for at, cluster in enumerate(clusters):
            if cluster == name:
                decisions[at] = scores[at] >= threshold
    return decisions
