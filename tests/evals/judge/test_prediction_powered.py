from __future__ import annotations

import numpy as np
import pytest

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.judge.prediction_powered import prediction_powered_mean


def test_a_judge_that_says_the_same_of_everything_leaves_the_mean_of_the_labels() -> None:
    found = prediction_powered_mean([1.0, 0.0, 1.0, None, None], [0.5] * 5, list("abcde"))
    assert found.value == pytest.approx(2 / 3)
    labels = cluster_mean([1.0, 0.0, 1.0], list("abc"))
    assert found.se == pytest.approx(labels.se)


def test_a_judge_that_is_always_right_but_for_a_constant_is_corrected_by_it() -> None:
    # Labels are predictions + .2, so that the weight is n-dependent and below 1, worked by hand:
    # cov = var = 1/6 over the labelled, var of all six .12; weight = (1/6) / ((1 + 3/3) × .12) = .694.
    labels: list[float | None] = [0.2, 0.7, 0.95, None, None, None]
    predictions = [0.0, 0.5, 0.75, 0.25, 0.5, 1.0]
    found = prediction_powered_mean(labels, predictions, list("abcdef"))
    own, other = np.array(predictions[:3]), np.array(predictions[3:])
    weight = np.cov(own + 0.2, own)[0, 1] / (2 * np.var(predictions, ddof=1))
    assert 0 < weight < 1
    assert found.value == pytest.approx(weight * other.mean() + (own + 0.2 - weight * own).mean())


def test_everything_labelled_is_the_mean_of_the_labels() -> None:
    labels = [0.0, 1.0, 1.0, 0.5]
    found = prediction_powered_mean(labels, [0.1, 0.2, 0.9, 0.4], ["a", "a", "b", "c"])
    assert found.value == pytest.approx(np.mean(labels))


@pytest.mark.parametrize("labels", [[None, None, None], [1.0, None, None], [1.0, 0.0, None]])
def test_labels_in_fewer_than_two_clusters_give_nothing(labels: list[float | None]) -> None:
    found = prediction_powered_mean(labels, [0.5, 0.5, 0.5], ["a", "a", "b"])
    assert (found.value, found.low) == (None, None)
    assert found.reason is not None
    assert "at least 2" in found.reason


def test_items_that_the_judge_failed_on_are_counted_and_left_out() -> None:
    found = prediction_powered_mean([1.0, 0.0, 1.0, None], [0.9, 0.1, None, 0.5], list("abcd"))
    assert (found.n, found.n_missing) == (3, 1)
    with pytest.raises(InputError):
        prediction_powered_mean([1.0], [0.5, 0.5], ["a"])


def draw(rng: np.random.Generator, n_labelled: int) -> tuple[list[float | None], list[float], list[str]]:
    """100 clusters of three answers; the judge is biased, and people have labelled some of the clusters."""
    cluster = rng.normal(0, 0.15, size=(100, 1))
    truth = np.clip(0.5 + cluster + rng.normal(0, 0.3, size=(100, 3)), 0, 1)
    judge = np.clip(0.2 + 0.6 * truth + rng.normal(0, 0.2, size=(100, 3)), 0, 1)
    labels = [float(value) if at // 3 < n_labelled else None for at, value in enumerate(truth.ravel())]
    return labels, judge.ravel().tolist(), [str(at // 3) for at in range(300)]


def test_intervals_cover_and_are_narrower_than_those_of_the_labels_alone() -> None:
    rng = np.random.default_rng(5)
    # Symmetric about .5.
    truth, n_covered, width, width_of_labels = 0.5, 0, 0.0, 0.0
    judged_alone = []
    for _ in range(400):
        labels, judge, clusters = draw(rng, 15)
        found = prediction_powered_mean(labels, judge, clusters)
        alone = cluster_mean(labels, clusters)
        assert found.low is not None
        assert found.high is not None
        assert alone.low is not None
        assert alone.high is not None
        n_covered += found.low <= truth <= found.high
        width += found.high - found.low
        width_of_labels += alone.high - alone.low
        judged_alone.append(np.mean(judge))
    assert 0.92 <= n_covered / 400 <= 0.98
    assert width < 0.85 * width_of_labels
    # What is corrected: the judge by itself is off.
    assert abs(np.mean(judged_alone) - truth) < 0.05
