"""Wild cluster bootstrap-t: a p-value and the interval that inverts it, shown beside the cluster-robust t (rule 8).

Source: Cameron, Gelbach & Miller 2008, REStat 90(3) (null imposed, studentised); Webb 2014, QED working paper 1315
(six-point weights, below 12 clusters); MacKinnon 2015, L'Actualité économique 91 / QED working paper 1329 (interval by
inverting the test with the null imposed). Where we differ: the statistic is studentised with CR2, not CR1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cr2_factors, mean_of_sums
from fourfold.evals.clusters import ClusterSums, sum_by_cluster
from fourfold.evals.estimate import Estimate, PValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WEBB_BELOW = 12
# Rademacher weights have 2^(G-1) different absolute statistics: too few for a p of .05 to mean much below 12.
WEBB_WEIGHTS = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])
RADEMACHER_WEIGHTS = np.array([-1.0, 1.0])
TIE = 1e-9
# Draws whose weights are all equal reproduce the observed statistic; rounding must not decide whether they count.
MAX_DOUBLINGS = 40
N_BISECTIONS = 50


def wild_interval(
    values: Sequence[float | None],
    clusters: Sequence[str],
    *,
    seed: int,
    level: float = 0.95,
    n_replications: int = 1999,
) -> Estimate:
    """The means that the wild cluster bootstrap-t test does not reject.

    Args:
        values: one value per question, None where it is missing.
        clusters: one cluster per question.
        seed: of the draws; one seed, one result.
        level: coverage, in (0, 1).
        n_replications: bootstrap draws; 999 or 1999 make .05 (draws + 1) a whole number.

    Returns:
        Mean, CR2 standard error and interval. The interval is None where `wild_p` is undefined, and where the test
        rejects no mean however far (always so with two clusters at 95%: one draw in six has equal weights).

    Raises:
        InputError: lengths differ, a value is NaN or infinite, `level` outside (0, 1), fewer than 99 draws.
    """
    _check_replications(n_replications)
    data = sum_by_cluster(values, clusters)
    estimate = replace(mean_of_sums(data, level=level), low=None, high=None, dof=None)
    estimate = replace(estimate, method=f"{_name(data)}, {level:.0%}")
    if estimate.value is None or not estimate.se:
        return estimate
    draws = _Draws.make(data, estimate.value, n_replications=n_replications, seed=seed)
    below = _bound(draws, estimate.se, alpha=1 - level, side=-1)
    above = _bound(draws, estimate.se, alpha=1 - level, side=1)
    if below is None or above is None:
        return replace(estimate, reason="too few clusters: the test rejects no mean, however far")
    return replace(estimate, low=estimate.value + below, high=estimate.value + above)


def wild_p(
    values: Sequence[float | None],
    clusters: Sequence[str],
    *,
    seed: int,
    null: float = 0.0,
    n_replications: int = 1999,
) -> PValue:
    """Two-sided p of H0 mean = null, with the null imposed on the draws.

    Args:
        values: one value per question, None where it is missing.
        clusters: one cluster per question.
        seed: of the draws; one seed, one result.
        null: the mean under H0.
        n_replications: bootstrap draws.

    Returns:
        (1 + draws at least as extreme) / (1 + draws); None with no value, one cluster, or a standard error of 0
        (the statistic is studentised).

    Raises:
        InputError: lengths differ, a value is NaN or infinite, fewer than 99 draws.
    """
    _check_replications(n_replications)
    data = sum_by_cluster(values, clusters)
    estimate = mean_of_sums(data)
    p = PValue(
        value=None,
        n=data.n,
        n_missing=data.n_missing,
        n_clusters=data.n_clusters,
        method=f"{_name(data)}, two-sided",
        reason=estimate.reason,
    )
    if estimate.value is None or not estimate.se:
        return p
    draws = _Draws.make(data, estimate.value, n_replications=n_replications, seed=seed)
    return replace(p, value=draws.p(null - estimate.value, estimate.se))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Draws:
    """Every draw's statistic as a function of the null, which stands at `mean + shift`.

    A draw's cluster sums about the null are w_g (e_g - n_g shift), e_g the residual sum. So the draw's mean is linear
    and its CR2 variance quadratic in the shift, and one matrix of weights [B, G] serves every null.
    """

    mean: tuple[NDArray[np.float64], NDArray[np.float64]]
    variance: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

    @classmethod
    def make(cls, data: ClusterSums, mean: float, *, n_replications: int, seed: int) -> _Draws:
        rng = np.random.default_rng(seed)
        weights = rng.choice(_weights(data), size=(n_replications, data.n_clusters))
        counts, factors = data.counts, cr2_factors(data.counts)
        constant = weights * (data.sums - counts * mean)
        slope = -weights * counts
        mean_constant = constant.sum(axis=1) / data.n
        mean_slope = slope.sum(axis=1) / data.n
        constant -= mean_constant[:, None] * counts
        slope -= mean_slope[:, None] * counts
        return cls(
            mean=(mean_constant, mean_slope),
            variance=(constant**2 @ factors, 2 * (constant * slope) @ factors, slope**2 @ factors),
        )

    def p(self, shift: float, se: float) -> float:
        mean = self.mean[0] + self.mean[1] * shift
        variance = self.variance[0] + self.variance[1] * shift + self.variance[2] * shift**2
        # Multiplied out, so that a draw without variance counts as extreme instead of dividing by 0.
        extreme = (mean * se) ** 2 >= (1 - TIE) * shift**2 * np.maximum(variance, 0.0)
        return (1 + int(extreme.sum())) / (1 + len(extreme))


def _bound(draws: _Draws, se: float, *, alpha: float, side: int) -> float | None:
    """The shift from the mean at which p falls to alpha; None where it stays above."""
    inside, outside = 0.0, side * se
    for _ in range(MAX_DOUBLINGS):
        if draws.p(outside, se) <= alpha:
            break
        inside, outside = outside, 2 * outside
    else:
        return None
    for _ in range(N_BISECTIONS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if draws.p(middle, se) <= alpha else (middle, outside)
    return outside


def _weights(data: ClusterSums) -> NDArray[np.float64]:
    return WEBB_WEIGHTS if data.n_clusters < WEBB_BELOW else RADEMACHER_WEIGHTS


def _name(data: ClusterSums) -> str:
    weights = "Webb" if data.n_clusters < WEBB_BELOW else "Rademacher"
    return f"wild cluster bootstrap-t ({weights} weights, CR2)"


def _check_replications(n_replications: int) -> None:
    if n_replications < 99:
        raise InputError(
            "too few bootstrap replications",
            seen=n_replications,
            expected="at least 99",
            hint="999 or 1999 are usual",
        )
