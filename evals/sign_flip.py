"""Cluster-level sign-flip test of paired differences (fairness rule 8).

Under H0 the two arms could be swapped within any cluster without changing the distribution, so every pattern of signs
of the cluster sums is equally likely. Source: Canay, Romano & Shaikh 2017, Econometrica 85(3); the +1 of
the Monte Carlo count: Phipson & Smyth 2010, SAGMB 9(1). Where every cluster is one right/wrong question it is McNemar's
exact test.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fourfold.errors import InputError
from fourfold.evals.clusters import SAME, sum_by_cluster
from fourfold.evals.estimate import PValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_EXACT = 14
# 2^14 patterns: all of them cost less than the 9,999 draws that would stand in for them.
TIE = 1e-9


def sign_flip_p(
    differences: Sequence[float | None], clusters: Sequence[str], *, seed: int, n_replications: int = 9999
) -> PValue:
    """Two-sided p of H0: within each cluster the sign of the differences' sum is a coin's.

    A cluster whose differences add up to 0 is left out: flipping it changes no pattern's statistic, so it changes
    the count of extreme patterns and the count of all patterns by the same factor, and p not at all.

    Args:
        differences: one paired difference per question, None where it is missing.
        clusters: one cluster per question.
        seed: of the draws, used only above 14 clusters with a sum other than 0.
        n_replications: draws above that number.

    Returns:
        The share of sign patterns whose absolute sum is at least the observed one: of all patterns up to 2^14, else
        (1 + extreme draws) / (1 + draws). 1 where every cluster adds up to 0; None without a cluster.

    Raises:
        InputError: lengths differ, a difference is NaN or infinite, fewer than 99 draws.
    """
    if n_replications < 99:
        raise InputError(
            "too few sign-flip replications",
            seen=n_replications,
            expected="at least 99",
            hint="9999 is usual",
        )
    data = sum_by_cluster(differences, clusters)
    result = PValue(
        value=None,
        n=data.n,
        n_missing=data.n_missing,
        n_clusters=data.n_clusters,
        method="cluster-level sign-flip, exact, two-sided",
        reason=None,
    )
    if data.n_clusters == 0:
        return replace(result, reason="no pairs")
    sums = data.sums[np.abs(data.sums) > SAME * data.scale * data.counts]
    if len(sums) == 0:
        return replace(result, value=1.0, reason="every cluster's differences add up to 0")
    if len(sums) <= MAX_EXACT:
        return replace(result, value=_exact(sums))
    method = f"cluster-level sign-flip, {n_replications} draws, two-sided"
    return replace(result, value=_drawn(sums, n_replications=n_replications, seed=seed), method=method)


def _exact(sums: NDArray[np.float64]) -> float:
    """Share of extreme patterns; the first sign is fixed, for a pattern and its opposite are extreme together."""
    free = len(sums) - 1
    signs = 1 - 2 * ((np.arange(2**free)[:, None] >> np.arange(free)) & 1)
    return float(_extreme(sums[0] + signs @ sums[1:], sums).mean())


def _drawn(sums: NDArray[np.float64], *, n_replications: int, seed: int) -> float:
    signs = 1 - 2 * np.random.default_rng(seed).integers(0, 2, size=(n_replications, len(sums)))
    return (1 + int(_extreme(signs @ sums, sums).sum())) / (1 + n_replications)


def _extreme(totals: NDArray[np.float64], sums: NDArray[np.float64]) -> NDArray[np.bool_]:
    # A tie counts as extreme, also where rounding parts two equal totals.
    slack = TIE * np.abs(sums).sum()
    extreme: NDArray[np.bool_] = np.abs(totals) >= abs(sums.sum()) - slack
    return extreme
