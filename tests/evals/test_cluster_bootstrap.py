import math

import numpy as np
import pytest

from fourfold.errors import InputError
from fourfold.evals.cluster_bootstrap import cluster_bootstrap
from fourfold.evals.cluster_robust import cluster_mean


def ragged(seed: int, n_clusters: int) -> tuple[list[float], list[str]]:
    rng = np.random.default_rng(seed)
    sizes = [1 + g % 4 for g in range(n_clusters)]
    values = rng.normal(size=n_clusters).repeat(sizes) + rng.normal(size=sum(sizes))
    return values.tolist(), [f"c{g:02}" for g, size in enumerate(sizes) for _ in range(size)]


def test_below_thirty_clusters_there_is_a_mean_but_no_interval() -> None:
    values, clusters = ragged(0, 29)
    estimate = cluster_bootstrap(values, clusters, seed=0)
    assert estimate.value == pytest.approx(np.mean(values))
    assert (estimate.low, estimate.high, estimate.se) == (None, None, None)
    assert estimate.reason is not None
    assert estimate.reason.startswith("29 clusters")


def test_a_cluster_of_missing_values_does_not_make_up_the_thirty() -> None:
    values, clusters = ragged(0, 29)
    assert cluster_bootstrap([*values, None], [*clusters, "c99"], seed=0).low is None


def test_from_thirty_clusters_it_agrees_with_resampling_whole_clusters_of_rows() -> None:
    values, clusters = ragged(1, 30)
    estimate = cluster_bootstrap(values, clusters, seed=5, n_replications=999)
    names = sorted(set(clusters))
    rows = {name: [v for v, c in zip(values, clusters, strict=True) if c == name] for name in names}
    draws = np.random.default_rng(5).multinomial(30, [1 / 30] * 30, size=999)
    means = [
        np.mean([v for name, times in zip(names, draw, strict=True) for v in rows[name] * times]) for draw in draws
    ]
    assert estimate.low == pytest.approx(np.quantile(means, 0.025))
    assert estimate.high == pytest.approx(np.quantile(means, 0.975))
    assert estimate.se == pytest.approx(np.std(means, ddof=1))


def test_its_standard_error_is_near_the_cluster_robust_one() -> None:
    values, clusters = ragged(2, 60)
    robust = cluster_mean(values, clusters).se
    assert cluster_bootstrap(values, clusters, seed=0).se == pytest.approx(robust, rel=0.1)


def test_one_seed_gives_one_result_and_another_seed_another() -> None:
    values, clusters = ragged(3, 30)
    first, again, other = (cluster_bootstrap(values, clusters, seed=seed, n_replications=99) for seed in (1, 1, 2))
    assert first == again != other


def test_equal_values_have_a_degenerate_interval_with_its_reason() -> None:
    estimate = cluster_bootstrap([0.1] * 30, [f"c{k}" for k in range(30)], seed=0)
    assert (estimate.low, estimate.high) == (0.1, 0.1)
    assert estimate.reason is not None
    assert "no variation" in estimate.reason


def test_equal_cluster_means_of_varying_values_have_no_interval() -> None:
    estimate = cluster_bootstrap([0, 1] * 30, [f"c{k // 2}" for k in range(60)], seed=0)
    assert (estimate.value, estimate.low) == (0.5, None)
    assert estimate.reason


def test_no_values_have_no_mean() -> None:
    estimate = cluster_bootstrap([], [], seed=0)
    assert (estimate.value, estimate.reason) == (None, "no values")


def test_mistakes_of_the_caller_are_refused() -> None:
    with pytest.raises(InputError, match="replications"):
        cluster_bootstrap([1.0], ["a"], seed=0, n_replications=10)
    with pytest.raises(InputError, match="not a number"):
        cluster_bootstrap([math.nan], ["a"], seed=0)
