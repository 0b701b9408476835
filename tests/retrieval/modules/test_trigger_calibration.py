from __future__ import annotations

import numpy as np
import pytest

from fourfold.errors import InputError, QuestionError
from fourfold.retrieval.modules.trigger_calibration import CalibrationQuestion, calibrate_trigger


def question(cosines: list[list[float]], gold: list[bool], found: list[bool]) -> CalibrationQuestion:
    return CalibrationQuestion(
        cosines=np.array(cosines, dtype=np.float32), gold=np.array(gold), found=np.array(found)
    )  # fmt: skip


# Two titles. a: memory has its gold at .8; b: memory is sure (.7) and wrong; c: nothing alike. A search finds them all.
QUESTIONS = [
    question([[0.8, 0.1]], [True, False], [True]),
    question([[0.7, 0.1]], [False, True], [True]),
    question([[0.2, 0.1]], [False, False], [True]),
]


def test_points_are_those_worked_out_by_hand() -> None:
    curve = calibrate_trigger(QUESTIONS, k=1, max_loss=0.5, taus=(0.15, 0.5, 0.75), thetas=(1, 2))
    points = {(point.tau, point.theta): (round(point.recall * 3), round(point.searched * 3)) for point in curve.points}
    assert points == {
        (0.15, 1): (1, 0),  # all three from memory: only a has its gold
        (0.15, 2): (3, 3),  # one alike title each: all are searched
        (0.5, 1): (2, 1),  # c is searched
        (0.5, 2): (3, 3),
        (0.75, 1): (3, 2),  # b is searched too
        (0.75, 2): (3, 3),
    }
    assert (curve.always_recall, curve.n_questions) == (1.0, 3)


@pytest.mark.parametrize(("max_loss", "chosen"), [(0.0, (0.75, 1)), (0.34, (0.5, 1)), (0.67, (0.15, 1))])
def test_the_setting_with_the_fewest_searches_within_the_loss_is_chosen(
    max_loss: float, chosen: tuple[float, int]
) -> None:
    curve = calibrate_trigger(QUESTIONS, k=1, max_loss=max_loss, taus=(0.15, 0.5, 0.75), thetas=(1, 2))
    assert (curve.chosen.tau, curve.chosen.theta) == chosen


def test_of_equal_settings_the_stricter_is_taken() -> None:
    curve = calibrate_trigger(QUESTIONS[2:], k=1, max_loss=0.0, taus=(0.5, 0.9), thetas=(1, 3))
    assert (curve.chosen.tau, curve.chosen.theta) == (0.9, 3)


def test_gold_beyond_what_is_shown_is_not_found_in_memory() -> None:
    second = question([[0.9, 0.8]], [False, True], [False])
    assert [calibrate_trigger([second], k=k, max_loss=0, taus=(0.5,), thetas=(1,)).chosen.recall for k in (1, 2)] == [
        0, 1,
    ]  # fmt: skip


def test_a_question_is_answered_if_one_of_its_queries_is() -> None:
    two = question([[0.9, 0.0], [0.0, 0.0]], [False, False], [False, True])
    curve = calibrate_trigger([two], k=1, max_loss=0, taus=(0.5,), thetas=(1,))
    assert (curve.chosen.recall, curve.chosen.searched) == (1, 0.5)


def test_nothing_to_calibrate_on_is_an_error() -> None:
    with pytest.raises(QuestionError, match="cannot be calibrated"):
        calibrate_trigger([], k=1, max_loss=0)


def test_a_recall_that_no_setting_keeps_is_an_error() -> None:
    with pytest.raises(InputError, match="no trigger keeps the recall"):
        calibrate_trigger(QUESTIONS, k=1, max_loss=0, taus=(0.15,), thetas=(1,))
