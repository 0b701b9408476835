"""Percentile bootstrap over whole clusters, from 30 clusters up (fairness rule 8).

Source: Davison & Hinkley 1997, Bootstrap Methods and their Application, section 3.8 (resampling of clusters);
Efron & Tibshirani 1993, section 13.3 (percentile interval). Below 30 clusters it covers too seldom and is None.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import mean_of_sums
from fourfold.evals.clusters import MANY_CLUSTERS, sum_by_cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourfold.evals.estimate import Estimate


def cluster_bootstrap(
    values: Sequence[float | None],
    clusters: Sequence[str],
    *,
    seed: int,
    level: float = 0.95,
    n_replications: int = 1999,
) -> Estimate:
    """Percentile interval of the mean, whole clusters drawn with replacement.

    Args:
        values: one value per question, None where it is missing.
        clusters: one cluster per question.
        seed: of the draws; one seed, one result.
        level: coverage, in (0, 1).
        n_replications: bootstrap draws.

    Returns:
        Mean, bootstrap standard error and interval; below 30 clusters the mean alone, with the reason.

    Raises:
        InputError: lengths differ, a value is NaN or infinite, `level` outside (0, 1), fewer than 99 draws.
    """
    if n_replications < 99:
        raise InputError(
            "too few bootstrap replications",
            seen=n_replications,
            expected="at least 99",
            hint="999 or 1999 are usual",
        )
    data = sum_by_cluster(values, clusters)
    robust = mean_of_sums(data, level=level)
    method = f"percentile cluster bootstrap, {level:.0%}"
    estimate = replace(robust, low=None, high=None, se=None, dof=None, method=method)
    if robust.value is None:
        return estimate
    if data.n_clusters < MANY_CLUSTERS:
        reason = f"{data.n_clusters} clusters: the percentile bootstrap covers too seldom below {MANY_CLUSTERS}"
        return replace(estimate, reason=reason)
    if robust.se is None or robust.se == 0:
        return replace(estimate, low=robust.low, high=robust.high, se=robust.se)
    rng = np.random.default_rng(seed)
    even = np.full(data.n_clusters, 1 / data.n_clusters)
    times_drawn = rng.multinomial(data.n_clusters, even, size=n_replications)
    means = (times_drawn @ data.sums) / (times_drawn @ data.counts)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return replace(estimate, low=float(low), high=float(high), se=float(means.std(ddof=1)), reason=None)
