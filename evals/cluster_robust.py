"""The mean of clustered values with its cluster-robust t interval and one-sided tests (fairness rule 8).

Source: Bell & McCaffrey 2002, Survey Methodology 28(2); Pustejovsky & Tipton 2018, JBES 36(4): the CR2 adjustment
matrices and Satterthwaite's degrees of freedom, here in closed form for a regression on an intercept only.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import special

from fourfold.errors import InputError
from fourfold.evals.clusters import SAME, ClusterSums, sum_by_cluster
from fourfold.evals.estimate import Estimate, PValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Alternative = Literal["greater", "less"]


def cluster_mean(values: Sequence[float | None], clusters: Sequence[str], *, level: float = 0.95) -> Estimate:
    """Mean with the CR2 standard error and the Student-t interval at Satterthwaite's degrees of freedom.

    All values equal: the standard error is 0 and the interval is the value itself, with the reason "no variation".
    Values that vary while every cluster has the same mean: the standard error is arithmetically 0, but by
    coincidence (with two clusters and right/wrong scores a frequent one), so it is None.

    Args:
        values: one value per question, None where it is missing.
        clusters: one cluster per question.
        level: coverage of the interval, in (0, 1).

    Returns:
        The estimate; with no value everything is None, with one cluster the value stands without an interval.

    Raises:
        InputError: lengths differ, a value is NaN or infinite, or `level` is outside (0, 1).
    """
    return mean_of_sums(sum_by_cluster(values, clusters), level=level)


def mean_of_sums(data: ClusterSums, *, level: float = 0.95) -> Estimate:
    """`cluster_mean` of values already added up by cluster.

    Args:
        data: the sums.
        level: coverage of the interval, in (0, 1).

    Returns:
        As `cluster_mean`.

    Raises:
        InputError: `level` is outside (0, 1).
    """
    if not 0 < level < 1:
        raise InputError(
            "the level of an interval is wrong",
            seen=level,
            expected="a number between 0 and 1",
            hint="0.95 is the usual one",
        )
    mean = data.mean
    bare = Estimate(
        value=mean,
        low=None,
        high=None,
        se=None,
        dof=None,
        n=data.n,
        n_missing=data.n_missing,
        n_clusters=data.n_clusters,
        method=f"cluster-robust t (CR2, Satterthwaite), {level:.0%}",
        reason=None,
    )
    if mean is None:
        return replace(bare, reason="no values")
    if data.n_clusters == 1:
        return replace(bare, reason="one cluster: the variation between clusters cannot be estimated")
    dof = satterthwaite_dof(data.counts)
    if data.constant:
        return replace(bare, low=mean, high=mean, se=0.0, dof=dof, reason="no variation: all values are equal")
    residuals = data.sums - data.counts * mean
    if np.all(np.abs(residuals) <= SAME * data.scale * data.counts):
        return replace(
            bare, reason="every cluster has the same mean though the values vary: no estimate of their spread"
        )
    se = math.sqrt(float(cr2_factors(data.counts) @ residuals**2))
    half = se * float(special.stdtrit(dof, (1 + level) / 2))
    return replace(bare, low=mean - half, high=mean + half, se=se, dof=dof)


def cr2_factors(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each cluster's squared sum of residuals is multiplied with to give the CR2 variance of the mean.

    A_g = (I - 11'/n)^(-1/2) acts on the direction of ones as (1 - n_g/n)^(-1/2), so that
    V = sum over g of (1' A_g e_g)^2 / n^2 = sum over g of (1'e_g)^2 / (n^2 (1 - n_g/n)).

    Args:
        counts: float64 [G], values per cluster, G at least 2.

    Returns:
        float64 [G].
    """
    n = counts.sum()
    factors: NDArray[np.float64] = 1.0 / (n * (n - counts))
    return factors


def satterthwaite_dof(counts: NDArray[np.float64]) -> float:
    """Degrees of freedom of the CR2 variance under independent values of one variance.

    With p_g = c_g (1_g - (n_g/n) 1_n), c_g = 1 / (n sqrt(1 - n_g/n)) and a_gh = p_g'p_h, they are
    (sum a_gg)^2 / sum a_gh^2. Here a_gg = n_g / n^2 (which adds up to 1/n) and, off the diagonal,
    a_gh = -c_g c_h n_g n_h / n. Clusters of one size give G - 1; two clusters of any sizes give 1.

    Args:
        counts: float64 [G], values per cluster, G at least 2.

    Returns:
        In [1, G - 1].
    """
    n = counts.sum()
    shares = cr2_factors(counts) * counts**2
    off_diagonal = (shares.sum() ** 2 - (shares**2).sum()) / n**2
    return float((1 / n) ** 2 / (((counts / n**2) ** 2).sum() + off_diagonal))


def one_sided_p(
    values: Sequence[float | None], clusters: Sequence[str], *, null: float, alternative: Alternative
) -> PValue:
    """One-sided test of the mean with the t statistic of `cluster_mean`.

    Args:
        values: one value per question, None where it is missing.
        clusters: one cluster per question.
        null: the border; H0 is mean <= null for "greater" and mean >= null for "less".
        alternative: what a small p speaks for.

    Returns:
        As `test_of`.

    Raises:
        InputError: lengths differ, or a value is NaN or infinite.
    """
    return test_of(cluster_mean(values, clusters), null=null, alternative=alternative)


def test_of(estimate: Estimate, *, null: float, alternative: Alternative) -> PValue:
    """One-sided p-value of an estimate that `cluster_mean` made.

    No variation (standard error 0): the t statistic is infinite, and p = 0 would take the sample for the population
    (with it, an arm 8 points worse won 46% of simulated studies of 10 clusters). Differences of scores lie in
    [-1, 1], so the worst case is known: under H0 mean <= null, Markov's inequality on d + 1 gives each cluster at
    most (null + 1) / (v + 1) for reaching v, and G independent clusters that to the power of G.

    Args:
        estimate: the mean with its standard error and degrees of freedom.
        null: the border between the hypotheses; it belongs to H0.
        alternative: what a small p speaks for.

    Returns:
        The p-value; None where the estimate has no standard error, with the estimate's reason.
    """
    distance = distance_from(estimate, null=null, alternative=alternative)
    p: float | None
    if distance is None or estimate.se is None or estimate.dof is None:
        p = None
    elif estimate.se == 0:
        p = _worst_case(estimate, null=null, alternative=alternative) ** estimate.n_clusters if distance > 0 else 1.0
    else:
        p = float(special.stdtr(estimate.dof, -distance / estimate.se))
    return PValue(
        value=p,
        n=estimate.n,
        n_missing=estimate.n_missing,
        n_clusters=estimate.n_clusters,
        method="cluster-robust t (CR2, Satterthwaite), one-sided",
        reason=estimate.reason,
    )


def two_sided_p(estimate: Estimate) -> PValue:
    """Test of a mean of 0: twice the smaller of both one-sided p-values of `test_of`, at most 1."""
    lower = test_of(estimate, null=0.0, alternative="less")
    upper = test_of(estimate, null=0.0, alternative="greater")
    both = None if lower.value is None or upper.value is None else min(1.0, 2 * min(lower.value, upper.value))
    return replace(upper, value=both, method="cluster-robust t (CR2, Satterthwaite), two-sided")


def _worst_case(estimate: Estimate, *, null: float, alternative: Alternative) -> float:
    """The largest chance under H0 that one cluster of differences in [-1, 1] reaches the mean observed."""
    assert estimate.value is not None
    sign = 1 if alternative == "greater" else -1
    value, border = sign * estimate.value, sign * null
    return 1.0 if abs(value) > 1 or border <= -1 else (border + 1) / (value + 1)


def distance_from(estimate: Estimate, *, null: float, alternative: Alternative) -> float | None:
    """How far the mean lies beyond the border, towards the alternative.

    Args:
        estimate: the mean.
        null: the border.
        alternative: the side that counts as positive.

    Returns:
        In the unit of the values; 0 on the border (to within rounding); None where there is no mean.
    """
    if estimate.value is None:
        return None
    if math.isclose(estimate.value, null, rel_tol=SAME, abs_tol=SAME):
        return 0.0
    return estimate.value - null if alternative == "greater" else null - estimate.value


def growth_needed(
    estimate: Estimate, *, null: float, alternative: Alternative, alpha: float, power: float = 0.8
) -> float | None:
    """By how much the sample must grow for the one-sided test to reject, if mean and spread stay as observed.

    ((z_alpha + z_power) se / distance)^2, the usual sample size of a z test, with the cluster design kept (more
    clusters of the same sizes, or the same clusters with proportionally less variation). No variation: the clusters
    at which the worst-case p of `test_of` falls to alpha.

    Args:
        estimate: the mean with its standard error.
        null: the border between the hypotheses.
        alternative: what the test is to show.
        alpha: level of the test, in (0, 1).
        power: chance that the test rejects, in (0, 1).

    Returns:
        Factor on the number of questions; below 1 where there are enough. None where there is no standard error or
        the mean lies on the border or the wrong side of it.
    """
    distance = distance_from(estimate, null=null, alternative=alternative)
    if distance is None or distance <= 0 or estimate.se is None:
        return None
    if estimate.se == 0:
        ratio = _worst_case(estimate, null=null, alternative=alternative)
        return None if ratio >= 1 else math.log(alpha) / math.log(ratio) / estimate.n_clusters
    quantiles = -float(special.ndtri(alpha)) + float(special.ndtri(power))
    return (quantiles * estimate.se / distance) ** 2
