import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean, growth_needed, one_sided_p


def dense_cr2(y: NDArray[np.float64], clusters: list[str]) -> tuple[float, float]:
    """CR2 standard error and Satterthwaite dof from the matrix definitions, for any regressors (here: ones)."""
    n = len(y)
    x = np.ones((n, 1))
    bread = np.linalg.inv(x.T @ x)
    residual_maker = np.eye(n) - x @ bread @ x.T
    e = residual_maker @ y
    variance, vectors = 0.0, []
    for name in sorted(set(clusters)):
        rows = np.array([k for k, cluster in enumerate(clusters) if cluster == name])
        eigenvalues, eigenvectors = np.linalg.eigh(residual_maker[np.ix_(rows, rows)])
        adjust = eigenvectors @ np.diag(eigenvalues**-0.5) @ eigenvectors.T
        meat = bread @ x[rows].T @ adjust
        variance += float((meat @ e[rows])[0] ** 2)
        vectors.append(residual_maker[:, rows] @ meat[0])
    p = np.array(vectors)
    a = p @ p.T
    return math.sqrt(variance), float(np.trace(a) ** 2 / (a**2).sum())


def ragged(seed: int, sizes: list[int]) -> tuple[NDArray[np.float64], list[str]]:
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=len(sizes)).repeat(sizes)
    return shared + rng.normal(size=sum(sizes)), [f"c{g}" for g, size in enumerate(sizes) for _ in range(size)]


@pytest.mark.parametrize("sizes", [[1, 1], [1, 9], [5, 5, 5], [1, 2, 3, 4, 30], [7] * 12, [1] * 20, list(range(1, 9))])
def test_se_and_dof_agree_with_the_dense_matrix_definition(sizes: list[int]) -> None:
    y, clusters = ragged(3, sizes)
    order = np.random.default_rng(4).permutation(len(y))
    estimate = cluster_mean(y[order].tolist(), [clusters[k] for k in order])
    se, dof = dense_cr2(y, clusters)
    assert estimate.se == pytest.approx(se, rel=1e-9)
    assert estimate.dof == pytest.approx(dof, rel=1e-9)


def test_two_clusters_of_two_and_one_by_hand() -> None:
    # Mean 3; residual sums -3 and +3; V = 9 / (3 * (3 - 2)) + 9 / (3 * (3 - 1)) = 4.5.
    estimate = cluster_mean([1, 2, 6], ["a", "a", "b"])
    assert estimate.value == 3
    assert estimate.se == pytest.approx(math.sqrt(4.5))
    assert estimate.dof == pytest.approx(1)


def test_singleton_clusters_give_the_ordinary_t_interval() -> None:
    y, clusters = ragged(5, [1] * 9)
    estimate = cluster_mean(y.tolist(), clusters, level=0.9)
    low, high = stats.t.interval(0.9, 8, loc=y.mean(), scale=stats.sem(y))
    assert estimate.dof == pytest.approx(8)
    assert estimate.low == pytest.approx(low)
    assert estimate.high == pytest.approx(high)


def test_equal_clusters_give_the_t_interval_of_their_means() -> None:
    y, clusters = ragged(6, [4] * 7)
    means = y.reshape(7, 4).mean(axis=1)
    estimate = cluster_mean(y.tolist(), clusters)
    low, high = stats.t.interval(0.95, 6, loc=means.mean(), scale=stats.sem(means))
    assert estimate.low == pytest.approx(low)
    assert estimate.high == pytest.approx(high)


def test_missing_values_are_counted_and_left_out() -> None:
    with_missing = cluster_mean([1, None, 2, 6, None], ["a", "a", "a", "b", "c"])
    without = cluster_mean([1, 2, 6], ["a", "a", "b"])
    assert (with_missing.n, with_missing.n_missing, with_missing.n_clusters) == (3, 2, 2)
    assert (with_missing.value, with_missing.low, with_missing.se) == (without.value, without.low, without.se)


@pytest.mark.parametrize("values", [[], [None, None]])
def test_no_values_have_no_mean(values: list[None]) -> None:
    estimate = cluster_mean(values, ["a", "b"][: len(values)])
    assert (estimate.value, estimate.low, estimate.se, estimate.dof) == (None, None, None, None)
    assert estimate.reason == "no values"


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [0.0, 2.0]])
def test_one_cluster_has_a_mean_without_an_interval(values: list[float]) -> None:
    estimate = cluster_mean(values, ["a"] * len(values))
    assert estimate.value == 1
    assert (estimate.low, estimate.high, estimate.se, estimate.dof) == (None, None, None, None)
    assert estimate.reason is not None
    assert "one cluster" in estimate.reason


def test_equal_values_have_a_degenerate_interval_with_its_reason() -> None:
    estimate = cluster_mean([0.1] * 3, ["a", "b", "b"])
    assert (estimate.low, estimate.value, estimate.high, estimate.se) == (0.1, 0.1, 0.1, 0.0)
    assert estimate.reason is not None
    assert "no variation" in estimate.reason


def test_equal_cluster_means_of_varying_values_have_no_interval() -> None:
    estimate = cluster_mean([0, 1, 1, 0, 1, 0], ["a", "a", "b", "b", "b", "b"])
    assert (estimate.value, estimate.low, estimate.se) == (0.5, None, None)
    assert estimate.reason is not None
    assert "same mean" in estimate.reason
    p = one_sided_p([0, 1, 1, 0], ["a", "a", "b", "b"], null=0.1, alternative="greater")
    assert (p.value, p.reason) == (None, estimate.reason)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="not a number"):
        cluster_mean([1.0, bad], ["a", "b"])


@pytest.mark.parametrize("level", [0, 1, 95, math.nan])
def test_a_level_outside_0_to_1_is_refused(level: float) -> None:
    with pytest.raises(InputError, match="level"):
        cluster_mean([1.0, 2.0], ["a", "b"], level=level)


def test_coverage_is_nominal_at_six_ragged_clusters_and_not_without_the_clusters() -> None:
    rng = np.random.default_rng(11)
    sizes = [2, 4, 6, 8, 10, 12]
    clusters = [f"c{g}" for g, size in enumerate(sizes) for _ in range(size)]
    robust, naive, n_reps = 0, 0, 400
    for _ in range(n_reps):
        y = rng.normal(size=6).repeat(sizes) + rng.normal(size=42)
        estimate = cluster_mean(y.tolist(), clusters)
        assert estimate.low is not None
        assert estimate.high is not None
        robust += estimate.low <= 0 <= estimate.high
        naive += abs(y.mean()) <= 2.02 * y.std(ddof=1) / math.sqrt(42)
    assert 0.92 <= robust / n_reps <= 0.975
    assert naive / n_reps < 0.8


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_one_sided_p_is_that_of_the_t_test_at_singletons(alternative: str) -> None:
    y, clusters = ragged(8, [1] * 10)
    p = one_sided_p(y.tolist(), clusters, null=0.3, alternative=alternative)  # type: ignore[arg-type]
    expected = stats.ttest_1samp(y, 0.3, alternative=alternative).pvalue
    assert p.value == pytest.approx(expected)


def test_one_sided_p_is_a_half_alpha_at_the_end_of_the_interval() -> None:
    y, clusters = ragged(9, [1, 3, 5, 7])
    low = cluster_mean(y.tolist(), clusters).low
    assert low is not None
    assert one_sided_p(y.tolist(), clusters, null=low, alternative="greater").value == pytest.approx(0.025)


@pytest.mark.parametrize(("null", "expected"), [(0.4, (1.4 / 1.5) ** 4), (0.5, 1.0), (0.6, 1.0)])
def test_without_variation_p_is_the_worst_case_of_bounded_differences(null: float, expected: float) -> None:
    p = one_sided_p([0.5] * 4, ["a", "b", "c", "d"], null=null, alternative="greater")
    assert p.value == pytest.approx(expected)
    assert p.reason is not None
    assert "no variation" in p.reason


def test_the_worst_case_p_holds_its_level_where_the_differences_are_rare() -> None:
    # The hardest null: -1 with chance x, else 0, mean -x = -.05. No difference is seen with chance (1 - x)^G.
    p = one_sided_p([0.0] * 20, [f"c{k}" for k in range(20)], null=-0.05, alternative="greater")
    assert p.value == pytest.approx(0.95**20)


def test_growth_without_variation_is_where_the_worst_case_p_reaches_alpha() -> None:
    estimate = cluster_mean([0.0] * 10, [f"c{k}" for k in range(10)])
    growth = growth_needed(estimate, null=-0.05, alternative="greater", alpha=0.05)
    assert growth is not None
    assert 0.95 ** (10 * growth) == pytest.approx(0.05)


def test_without_variation_rounding_does_not_lift_a_mean_over_the_border() -> None:
    # 0.95 - 1.0 is -0.050000000000000044.
    assert one_sided_p([0.95 - 1.0] * 2, ["a", "b"], null=-0.05, alternative="less").value == 1.0
    assert one_sided_p([0.1 + 0.2 - 0.3] * 2, ["a", "b"], null=0.0, alternative="greater").value == 1.0


@pytest.mark.parametrize("values", [[], [None], [1.0]])
def test_p_is_none_where_there_is_no_standard_error(values: list[float | None]) -> None:
    p = one_sided_p(values, ["a"] * len(values), null=-1.0, alternative="greater")
    assert p.value is None
    assert p.reason is not None


def test_growth_is_the_sample_size_of_a_z_test() -> None:
    y, clusters = ragged(10, [4] * 8)
    estimate = cluster_mean(y.tolist(), clusters)
    assert estimate.value is not None
    assert estimate.se is not None
    z = float(stats.norm.isf(0.01) + stats.norm.ppf(0.8))
    growth = growth_needed(estimate, null=estimate.value - z * estimate.se, alternative="greater", alpha=0.01)
    assert growth == pytest.approx(1)
    growth = growth_needed(estimate, null=estimate.value + z * estimate.se / 2, alternative="less", alpha=0.01)
    assert growth == pytest.approx(4)


def test_growth_is_none_on_the_border_and_on_the_wrong_side() -> None:
    estimate = cluster_mean([1, 2, 6], ["a", "a", "b"])
    assert growth_needed(estimate, null=3, alternative="greater", alpha=0.05) is None
    assert growth_needed(estimate, null=4, alternative="greater", alpha=0.05) is None
    assert growth_needed(cluster_mean([1.0], ["a"]), null=0, alternative="greater", alpha=0.05) is None
