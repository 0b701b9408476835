from __future__ import annotations

import numpy as np
import pytest

from fourfold.errors import QuestionError
from fourfold.retrieval.modules.knowledge_filter import Judgement, LabelledPair, Pair
from fourfold.retrieval.modules.threshold import MAX_POINTS, calibrate_threshold


def labelled(*labels: bool) -> list[LabelledPair]:
    return [LabelledPair(pair=Pair(premise="p", hypothesis="h"), entailed=label) for label in labels]


def judged(*scores: float | None) -> list[Judgement]:
    return [Judgement(entailed=None, score=score, failure=None if score is not None else "lost") for score in scores]


@pytest.mark.parametrize(
    ("max_lost", "threshold", "lost", "gone"),
    [
        # With the answer: .9 .6 .6 .2; without: .1 .3 .6. By hand:
        (0.0, 0.15, 0.0, 1 / 3),
        (0.24, 0.15, 0.0, 1 / 3),
        (0.25, 0.45, 0.25, 2 / 3),
        (0.75, 0.75, 0.75, 1.0),
    ],
)
def test_the_highest_threshold_within_the_loss_is_chosen(
    max_lost: float, threshold: float, lost: float, gone: float
) -> None:
    pairs = labelled(True, True, True, True, False, False, False)
    curve = calibrate_threshold(pairs, judged(0.9, 0.6, 0.6, 0.2, 0.1, 0.3, 0.6), max_lost=max_lost)
    assert (curve.chosen.threshold, curve.chosen.lost, curve.chosen.gone) == pytest.approx((threshold, lost, gone))
    assert (curve.n_entailed, curve.n_others, curve.n_failed) == (4, 3, 0)


def test_pairs_that_were_not_scored_are_counted_and_take_no_part() -> None:
    curve = calibrate_threshold(labelled(True, False, True), judged(0.9, 0.1, None), max_lost=0.0)
    assert (curve.chosen.threshold, curve.n_entailed, curve.n_failed) == (0.5, 1, 1)


def test_the_curve_agrees_with_scikit_learns_roc() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn comes with sentence-transformers")
    rng = np.random.default_rng(0)
    scores, labels = np.round(rng.random(40), 1), rng.random(40) < 0.5
    curve = calibrate_threshold(labelled(*map(bool, labels)), judged(*map(float, scores)), max_lost=0.0)
    fpr, tpr, thresholds = metrics.roc_curve(labels, scores, drop_intermediate=False)
    theirs = {round(float(t), 6): (1 - up, 1 - across) for t, up, across in zip(thresholds, tpr, fpr, strict=True)}
    for point in curve.points:
        # Ours stand between two scores; theirs are the scores.
        nearest = min(score for score in scores if score >= point.threshold)
        assert (point.lost, point.gone) == pytest.approx(theirs[round(nearest, 6)])


def test_scores_that_are_all_alike_keep_everything() -> None:
    curve = calibrate_threshold(labelled(True, False), judged(0.7, 0.7), max_lost=0.0)
    assert (curve.chosen.threshold, curve.chosen.lost, curve.chosen.gone) == (0, 0, 0)


def test_a_stored_curve_stays_short() -> None:
    n = 3 * MAX_POINTS
    curve = calibrate_threshold(labelled(*[True, False] * n), judged(*np.linspace(0, 1, 2 * n)), max_lost=0.1)
    assert len(curve.points) <= MAX_POINTS


@pytest.mark.parametrize("labels", [(True, True), (False, False), ()])
def test_labels_of_one_kind_are_refused(labels: tuple[bool, ...]) -> None:
    with pytest.raises(QuestionError, match="cannot be calibrated"):
        calibrate_threshold(labelled(*labels), judged(*[0.5] * len(labels)), max_lost=0.1)
