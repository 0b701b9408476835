import math

import numpy as np
import pytest
from scipy import stats

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean, growth_needed
from fourfold.evals.estimate import Estimate
from fourfold.evals.power import questions_needed, smallest_detectable


def of_singletons(sd: float, n: int) -> Estimate:
    """n clusters of one value each, standard deviation sd: an ordinary one-sample t."""
    values = np.random.default_rng(0).normal(size=n)
    values *= sd / values.std(ddof=1)
    return cluster_mean(values.tolist(), [f"c{k}" for k in range(n)])


def test_two_sided_agrees_with_power_t_test_of_r() -> None:
    # power.t.test(n = 20, delta = 1, sd = 1) gives 0.8689528: two samples, so se = sqrt(2/20), dof = 38.
    estimate = Estimate(
        value=0.0,
        low=0.0,
        high=0.0,
        se=math.sqrt(0.1),
        dof=38,
        n=20,
        n_missing=0,
        n_clusters=20,
        method="",
        reason=None,
    )
    assert smallest_detectable(estimate, n_tests=24, power=0.8689528).two_sided == pytest.approx(1, abs=1e-5)


def test_questions_agree_with_cohens_table() -> None:
    # One sample, d = .5, two-sided .05, power .8: n = 33.4 (G*Power: 34); one-sided: n = 26.1 (27).
    pilot = of_singletons(1.0, 12)
    assert questions_needed(pilot, difference=0.5, n_tests=1).two_sided == 34
    assert questions_needed(pilot, difference=0.5, n_tests=1).verdict == 27


@pytest.mark.parametrize("dof", [1.0, 2.5, 9.0, 200.0])
def test_at_the_smallest_detectable_difference_the_test_rejects_with_the_stated_power(dof: float) -> None:
    estimate = Estimate(
        value=None, low=None, high=None, se=0.2, dof=dof, n=9, n_missing=0, n_clusters=9, method="", reason=None
    )
    found = smallest_detectable(estimate, n_tests=24, level=0.1, power=0.9)
    assert found.two_sided is not None
    assert found.verdict is not None
    for distance, alpha in ((found.two_sided, 0.05), (found.verdict, 0.1 / 24)):
        assert stats.nct.sf(stats.t.isf(alpha, dof), dof, distance / 0.2) == pytest.approx(0.9, abs=1e-4)


def test_simulated_studies_of_that_difference_are_found_as_often_as_promised() -> None:
    sd, n, n_studies = 0.5, 10, 4000
    distance = smallest_detectable(of_singletons(sd, n), n_tests=1).verdict
    assert distance is not None
    values = distance + sd * np.random.default_rng(1).normal(size=(n_studies, n))
    found = stats.ttest_1samp(values, 0, axis=1, alternative="greater").pvalue <= 0.05
    # Three standard errors of a share of .8.
    assert found.mean() == pytest.approx(0.8, abs=0.019)


def test_with_many_clusters_it_is_the_normal_form_of_growth_needed() -> None:
    estimate = of_singletons(0.5, 100_000)
    found = smallest_detectable(estimate, n_tests=24)
    assert found.verdict is not None
    growth = growth_needed(estimate, null=(estimate.value or 0) - found.verdict, alternative="greater", alpha=0.05 / 24)
    assert growth == pytest.approx(1, abs=1e-3)


def test_the_questions_needed_for_the_smallest_detectable_difference_are_those_there_are() -> None:
    values, clusters = [0.0, 1.0, None, 0.0, -1.0, 1.0, 1.0, 0.0, 1.0], list("aabbccddd")
    estimate = cluster_mean(values, clusters)
    found = smallest_detectable(estimate, n_tests=24)
    assert found.two_sided is not None
    assert found.verdict is not None
    assert questions_needed(estimate, difference=found.two_sided * 1.0001, n_tests=24).two_sided == 9
    assert questions_needed(estimate, difference=found.verdict * 1.0001, n_tests=24).verdict == 9
    assert questions_needed(estimate, difference=found.two_sided * 0.98, n_tests=24).two_sided == 10


def test_more_tests_and_smaller_differences_need_more() -> None:
    estimate = of_singletons(0.5, 20)
    few, many = (smallest_detectable(estimate, n_tests=n_tests).verdict or 0 for n_tests in (4, 24))
    assert 0 < few < many
    needed = [questions_needed(estimate, difference=d, n_tests=24).verdict or 0 for d in (0.4, 0.2, 0.05)]
    assert needed == sorted(set(needed))


def test_a_huge_difference_still_needs_two_clusters() -> None:
    assert questions_needed(of_singletons(0.01, 20), difference=1.0, n_tests=24).two_sided == 2


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0, 1.0]])
def test_without_a_standard_error_to_plan_with_there_is_no_figure(values: list[float]) -> None:
    estimate = cluster_mean(values, ["a", "b", "c"][: len(values)])
    for result in (
        smallest_detectable(estimate, n_tests=24),
        questions_needed(estimate, difference=0.1, n_tests=24),
    ):
        assert (result.two_sided, result.verdict) == (None, None)
        assert result.reason is not None
        assert estimate.reason is not None
        assert estimate.reason in result.reason


def test_mistakes_of_the_caller_are_refused() -> None:
    estimate = of_singletons(0.5, 5)
    with pytest.raises(InputError, match="level 95"):
        smallest_detectable(estimate, n_tests=24, level=95)
    with pytest.raises(InputError, match=r"power 0\.2"):
        smallest_detectable(estimate, n_tests=24, power=0.2)
    with pytest.raises(InputError, match="0 tests"):
        smallest_detectable(estimate, n_tests=0)
    for bad in (0.0, -0.1, math.nan, math.inf):
        with pytest.raises(InputError, match="difference"):
            questions_needed(estimate, difference=bad, n_tests=24)
