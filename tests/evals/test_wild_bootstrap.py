import math

import numpy as np
import pytest

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.wild_bootstrap import RADEMACHER_WEIGHTS, WEBB_WEIGHTS, wild_interval, wild_p

SIZES = [1, 2, 3, 5, 8]


def ragged(seed: int, sizes: list[int]) -> tuple[list[float], list[str]]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=len(sizes)).repeat(sizes) + rng.normal(size=sum(sizes))
    return values.tolist(), [f"c{g:02}" for g, size in enumerate(sizes) for _ in range(size)]


@pytest.mark.parametrize(("sizes", "null"), [(SIZES, 0.0), (SIZES, -0.7), ([2, 3] * 7, 0.4)])
def test_p_agrees_with_resampling_the_rows_one_draw_at_a_time(sizes: list[int], null: float) -> None:
    values, clusters = ragged(1, sizes)
    names = sorted(set(clusters))
    weights = RADEMACHER_WEIGHTS if len(names) >= 12 else WEBB_WEIGHTS
    draws = np.random.default_rng(7).choice(weights, size=(199, len(names)))
    observed = cluster_mean(values, clusters)
    assert observed.value is not None
    assert observed.se is not None
    extreme = 0
    for draw in draws:
        drawn = [
            null + draw[names.index(cluster)] * (value - null) for value, cluster in zip(values, clusters, strict=True)
        ]
        estimate = cluster_mean(drawn, clusters)
        assert estimate.value is not None
        assert estimate.se is not None
        t_drawn = abs(estimate.value - null) / estimate.se
        extreme += t_drawn >= abs(observed.value - null) / observed.se * (1 - 1e-9)
    p = wild_p(values, clusters, null=null, n_replications=199, seed=7)
    assert p.value == pytest.approx((1 + extreme) / 200)


def test_the_interval_holds_exactly_the_means_that_are_not_rejected() -> None:
    values, clusters = ragged(2, SIZES)
    interval = wild_interval(values, clusters, n_replications=999, seed=3)
    assert interval.low is not None
    assert interval.high is not None
    for end, outwards in ((interval.low, -1), (interval.high, 1)):
        inside = wild_p(values, clusters, null=end - outwards * 1e-6, n_replications=999, seed=3).value
        outside = wild_p(values, clusters, null=end + outwards * 1e-6, n_replications=999, seed=3).value
        assert inside is not None
        assert outside is not None
        assert outside <= 0.05 < inside


def test_the_mean_itself_is_never_rejected() -> None:
    values, clusters = ragged(2, SIZES)
    assert wild_p(values, clusters, null=float(np.mean(values)), n_replications=99, seed=0).value == 1.0


def test_coverage_is_near_nominal_at_eight_ragged_clusters() -> None:
    covered, n_reps = 0, 300
    for k in range(n_reps):
        values, clusters = ragged(1000 + k, [2, 3, 4, 5, 6, 7, 8, 9])
        interval = wild_interval(values, clusters, n_replications=399, seed=k)
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 0 <= interval.high
    assert 0.915 <= covered / n_reps <= 0.985


@pytest.mark.parametrize(("n_clusters", "weights"), [(11, "Webb"), (12, "Rademacher")])
def test_webb_weights_serve_below_twelve_clusters(n_clusters: int, weights: str) -> None:
    values, clusters = ragged(4, [2] * n_clusters)
    assert weights in wild_interval(values, clusters, n_replications=99, seed=0).method
    assert weights in wild_p(values, clusters, n_replications=99, seed=0).method


def test_webb_weights_have_mean_0_and_variance_1() -> None:
    assert WEBB_WEIGHTS.mean() == pytest.approx(0)
    assert (WEBB_WEIGHTS**2).mean() == pytest.approx(1)


def test_two_clusters_reject_no_mean_so_that_there_is_no_interval() -> None:
    interval = wild_interval([1, 2, 6], ["a", "a", "b"], seed=0)
    assert (interval.value, interval.low, interval.high) == (3, None, None)
    assert interval.reason is not None
    assert "too few clusters" in interval.reason


@pytest.mark.parametrize("values", [[], [None], [1.0], [0.5, 0.5], [0.0, 1.0, 1.0, 0.0]])
def test_without_a_standard_error_interval_and_p_are_none_with_a_reason(values: list[float | None]) -> None:
    clusters = (["a", "b"] if values == [0.5, 0.5] else ["a", "a", "b", "b"])[: len(values)]
    interval = wild_interval(values, clusters, seed=0)
    p = wild_p(values, clusters, seed=0)
    assert (interval.low, interval.high, p.value) == (None, None, None)
    assert interval.reason
    assert interval.reason == p.reason


def test_missing_values_are_counted_and_left_out() -> None:
    values, clusters = ragged(5, SIZES)
    full = wild_interval(values, clusters, n_replications=99, seed=1)
    gaps = wild_interval([*values, None], [*clusters, "c00"], n_replications=99, seed=1)
    assert (gaps.low, gaps.high, gaps.n, gaps.n_missing) == (full.low, full.high, full.n, 1)


def test_one_seed_gives_one_result_and_another_seed_another() -> None:
    values, clusters = ragged(6, SIZES)
    first, again, other = (wild_interval(values, clusters, n_replications=99, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_mistakes_of_the_caller_are_refused() -> None:
    with pytest.raises(InputError, match="replications"):
        wild_p([1.0, 2.0], ["a", "b"], n_replications=10, seed=0)
    with pytest.raises(InputError, match="replications"):
        wild_interval([1.0, 2.0], ["a", "b"], n_replications=10, seed=0)
    with pytest.raises(InputError, match="not a number"):
        wild_p([1.0, math.nan], ["a", "b"], seed=0)
