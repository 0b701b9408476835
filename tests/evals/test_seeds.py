import math

import numpy as np
import pytest
from scipy import stats

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.seeds import ONE_SEED, seeds_mean


def test_variance_and_degrees_of_freedom_by_hand() -> None:
    # Means over the seeds 2, 4, 6 (singletons): variance 4 / 3, dof 2. Seed means 3, 5: variance 2 / 2, dof 1.
    result = seeds_mean([[1, 3, 5], [3, 5, 7]], ["a", "b", "c"])
    assert (result.estimate.value, result.seed_means, result.n_seeds, result.reason) == (4, (3, 5), 2, None)
    assert result.seed_sd == pytest.approx(math.sqrt(2))
    assert result.estimate.se == pytest.approx(math.sqrt(4 / 3 + 1))
    dof = (4 / 3 + 1) ** 2 / ((4 / 3) ** 2 / 2 + 1**2 / 1)
    assert result.estimate.dof == pytest.approx(dof)
    low, high = stats.t.interval(0.95, dof, loc=4, scale=math.sqrt(7 / 3))
    assert (result.estimate.low, result.estimate.high) == pytest.approx((low, high))


def test_one_seed_gives_the_ordinary_interval_and_says_what_it_leaves_out() -> None:
    values, clusters = [1.0, None, 2.0, 6.0], ["a", "a", "a", "b"]
    result = seeds_mean([values], clusters, level=0.9)
    assert result.estimate == cluster_mean(values, clusters, level=0.9)
    assert (result.seed_sd, result.reason, result.seed_means) == (None, ONE_SEED, (3.0,))


def test_seeds_that_agree_add_nothing() -> None:
    values, clusters = [1.0, 2.0, 6.0], ["a", "a", "b"]
    result, one = seeds_mean([values] * 3, clusters), cluster_mean(values, clusters)
    assert result.seed_sd == 0
    assert (result.estimate.low, result.estimate.se, result.estimate.dof) == (one.low, one.se, one.dof)


def test_questions_that_do_not_vary_leave_the_seeds_t_interval() -> None:
    result = seeds_mean([[0.1] * 4, [0.3] * 4, [0.5] * 4], list("aabb"))
    low, high = stats.t.interval(0.95, 2, loc=0.3, scale=0.2 / math.sqrt(3))
    assert (result.estimate.low, result.estimate.high) == pytest.approx((low, high))
    assert result.estimate.reason is None


def test_a_question_counts_only_where_every_seed_finished_it() -> None:
    result = seeds_mean([[1, 3, 5, None], [3, 5, 7, 0]], ["a", "b", "c", "c"])
    full = seeds_mean([[1, 3, 5], [3, 5, 7]], ["a", "b", "c"])
    assert (result.estimate.n, result.estimate.n_missing) == (3, 1)
    assert (result.estimate.low, result.seed_means) == (full.estimate.low, full.seed_means)


def test_gains_that_cancel_over_the_seeds_do_not_vary() -> None:
    # .7 - .4 is .29999999999999993: its mean with -.3 is not 0 in double precision.
    result = seeds_mean([[0.7 - 0.4, 0.2], [-0.3, -0.2]], ["a", "b"])
    assert result.estimate.value == 0
    assert result.seed_sd == pytest.approx(0.5 / math.sqrt(2))
    assert result.estimate.se == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("differences", "clusters", "reason"),
    [
        ([[None, 1.0], [1.0, None]], ["a", "b"], "no values"),
        ([[], []], [], "no values"),
        ([[1.0, 0.0], [0.0, 0.0]], ["a", "a"], "one cluster"),
        ([[0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]], ["a", "a", "b", "b"], "same mean"),
    ],
)
def test_where_the_questions_give_no_standard_error_there_is_no_interval(
    differences: list[list[float | None]], clusters: list[str], reason: str
) -> None:
    estimate = seeds_mean(differences, clusters).estimate
    assert (estimate.low, estimate.high, estimate.se) == (None, None, None)
    assert estimate.reason is not None
    assert reason in estimate.reason


def test_mistakes_of_the_caller_are_refused() -> None:
    with pytest.raises(InputError, match="no tuning seed"):
        seeds_mean([], [])
    with pytest.raises(InputError, match="do not match"):
        seeds_mean([[1.0, 2.0], [1.0]], ["a", "b"])
    with pytest.raises(InputError, match="not a number"):
        seeds_mean([[None, 1.0], [math.nan, 1.0]], ["a", "b"])
    with pytest.raises(InputError, match="level"):
        seeds_mean([[1.0, 2.0]], ["a", "b"], level=95)


@pytest.mark.parametrize(("n_seeds", "seed_sd"), [(3, 0.1), (5, 0.3)])
def test_the_interval_covers_where_seeds_vary_and_that_of_the_questions_alone_does_not(
    n_seeds: int, seed_sd: float
) -> None:
    # Ten clusters of four questions, whose differences have a standard deviation of .5 within a seed.
    rng = np.random.default_rng(1)
    clusters = [f"c{k // 4}" for k in range(40)]
    both, questions_only, n_reps = 0, 0, 1000
    for _ in range(n_reps):
        shared = 0.16 * rng.normal(size=10).repeat(4) + 0.3 * rng.normal(size=40)
        differences = seed_sd * rng.normal(size=(n_seeds, 1)) + shared + 0.35 * rng.normal(size=(n_seeds, 40))
        estimate = seeds_mean(differences.tolist(), clusters).estimate
        alone = cluster_mean(differences.mean(axis=0).tolist(), clusters)
        assert estimate.low is not None
        assert estimate.high is not None
        assert alone.low is not None
        assert alone.high is not None
        both += estimate.low <= 0 <= estimate.high
        questions_only += alone.low <= 0 <= alone.high
    assert 0.93 <= both / n_reps <= 0.98
    assert questions_only / n_reps < 0.91
