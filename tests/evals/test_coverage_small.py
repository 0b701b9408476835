from dataclasses import replace

import numpy as np
import pytest

from benchmarks.interval_coverage import KINDS, cluster_names, draw, holds, missed, simulate, true_mean
from fourfold.evals.cluster_robust import cluster_mean


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("clusters", "icc"), [(6, 0.3), (10, 0.1)])
def test_intervals_cover_and_false_alarms_stay_low(clusters: int, icc: float, kind: str) -> None:
    row = simulate(clusters=clusters, icc=icc, kind=kind, n_repetitions=1000)
    # The targets of the benchmark widened by three standard errors of 1,000 (t, sign-flip) and 200 (wild) repetitions.
    assert 0.92 <= row.coverage_t <= 0.99
    assert 0.89 <= row.coverage_wild <= 1.0
    if row.false_alarms_sign_flip is None:
        assert true_mean(kind) != 0
    else:
        assert row.false_alarms_sign_flip <= 0.075


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("icc", [0.0, 0.3])
def test_the_differences_have_the_stated_mean_and_correlation(icc: float, kind: str) -> None:
    rng = np.random.default_rng(3)
    names = ["a", "a", "b", "b", "c", "c"]
    values = np.array([draw(names, icc=icc, kind=kind, rng=rng) for _ in range(8000)]).reshape(-1, 2)
    assert values.mean() == pytest.approx(true_mean(kind), abs=0.03)
    assert np.corrcoef(values.T)[0, 1] == pytest.approx(icc, abs=0.03)


def test_clusters_have_two_to_six_questions_in_turn() -> None:
    names = cluster_names(7)
    assert [names.count(f"c{g}") for g in range(7)] == [2, 3, 4, 5, 6, 2, 3]


def test_an_interval_that_is_not_there_holds_nothing() -> None:
    estimate = cluster_mean([1.0, 2.0, 6.0], ["a", "a", "b"])
    assert holds(estimate, 3.0)
    assert not holds(estimate, 300.0)
    assert not holds(replace(estimate, low=None, high=None), 3.0)


def test_missed_targets_are_named() -> None:
    row = simulate(clusters=6, icc=0.0, kind="gaussian", n_repetitions=5)
    good = replace(row, coverage_t=0.95, false_alarms_sign_flip=0.05)
    assert missed(good) == []
    assert missed(replace(good, coverage_t=0.935)) == []
    assert len(missed(replace(good, clusters=10, coverage_t=0.935))) == 1
    assert len(missed(replace(good, coverage_t=0.99, false_alarms_sign_flip=0.06))) == 2
