"""The interval of any statistic over clustered items: t on the delete-one-cluster jackknife.

Source: Efron & Stein 1981, Annals of Statistics 9(3): se² = (G - 1) / G × Σ (θ without g - mean)². 95% intervals of
Cohen's kappa covered .941 / .938 / .937 at 10 / 20 / 50 clusters of four simulated answers (true kappa .50, 1,000 draws
each); the lower end, which the gate looks at, was too high in .042 / .045 / .041 of them, nominally in .025.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy import special

from fourfold.evals.estimate import Estimate

# Values of one number that differ by rounding only.
_SAME = 1e-12

Statistic = Callable[[Sequence[int]], float | None]


def cluster_jackknife(
    statistic: Statistic, clusters: Sequence[str], *, undefined: str, n_missing: int = 0, level: float = 0.95
) -> Estimate:
    """A statistic with its interval.

    Args:
        statistic: of the items at some places; None where it is undefined.
        clusters: one cluster per item.
        undefined: why the statistic is undefined, where it is.
        n_missing: items that were left out before.
        level: coverage of the interval, in (0, 1).

    Returns:
        The estimate; None throughout where the statistic is undefined, without an interval where there is one cluster
        or where it is undefined without one of them.
    """
    places = range(len(clusters))
    names = sorted(set(clusters))
    bare = Estimate(
        value=statistic(places),
        low=None,
        high=None,
        se=None,
        dof=None,
        n=len(clusters),
        n_missing=n_missing,
        n_clusters=len(names),
        method=f"jackknife over clusters, t, {level:.0%}",
        reason=None,
    )
    if bare.value is None:
        return replace(bare, reason=undefined)
    if len(names) == 1:
        return replace(bare, reason="one cluster: the variation between clusters cannot be estimated")
    without = [statistic([at for at in places if clusters[at] != name]) for name in names]
    known = [value for value in without if value is not None]
    if len(known) < len(without):
        return replace(bare, reason=f"it hangs on one cluster: without it, {undefined}")
    spread = float(((np.array(known) - np.mean(known)) ** 2).sum())
    se = math.sqrt((len(names) - 1) / len(names) * spread)
    if se <= _SAME:
        reason = "no variation: leaving out any cluster gives the same value"
        return replace(bare, low=bare.value, high=bare.value, se=0.0, dof=float(len(names) - 1), reason=reason)
    dof = float(len(names) - 1)
    half = se * float(special.stdtrit(dof, (1 + level) / 2))
    return replace(bare, low=bare.value - half, high=bare.value + half, se=se, dof=dof)
