from __future__ import annotations

from fourfold.evals.judge.rubric import RIGHT_FROM
from fourfold.evals.judge.threshold import best_threshold, cross_fitted


def test_the_threshold_parts_the_labels_best() -> None:
    assert best_threshold([0.1, 0.2, 0.4, 0.6], [False, False, True, True]) == 0.30000000000000004
    # Two mistakes whatever the cut: the one at .5 leaves one.
    assert best_threshold([0.1, 0.4, 0.45, 0.55, 0.9], [False, True, False, True, True]) == 0.5


def test_labels_of_one_class_leave_the_rubrics_own_threshold() -> None:
    assert best_threshold([0.1, 0.9], [True, True]) == RIGHT_FROM
    assert best_threshold([], []) == RIGHT_FROM


def test_a_threshold_is_tried_on_labels_that_it_has_not_seen() -> None:
    # Each cluster has a cut of its own: chosen on the same labels it would agree throughout.
    scores = [0.1, 0.2, 0.8, 0.9]
    labels = [False, True, False, True]
    assert cross_fitted(scores, labels, ["a", "a", "b", "b"]) == [False, False, True, True]
