from __future__ import annotations

import pytest
from support.questions import make_question

from fourfold.errors import QuestionError
from fourfold.tuning.size import choose_size

QUESTIONS = [make_question(f"q{number}") for number in range(40)]


def names(size: float, seed: int = 0) -> list[str]:
    return [question.question_id for question in choose_size(QUESTIONS, size, seed=seed)]


@pytest.mark.parametrize(("size", "n"), [(1.0, 40), (0.5, 20), (0.25, 10), (0.001, 1), (2, 2), (40, 40)])
def test_up_to_one_is_a_share_and_above_it_a_number(size: float, n: int) -> None:
    assert len(names(size)) == n


def test_a_smaller_set_lies_within_a_larger_one_and_keeps_the_order() -> None:
    assert set(names(0.25)) < set(names(0.5)) < set(names(1.0))
    whole = names(1.0)
    assert whole == [question.question_id for question in QUESTIONS]
    assert names(0.5) == sorted(names(0.5), key=whole.index)


def test_the_seed_decides_which_come_first() -> None:
    assert names(0.25, seed=1) == names(0.25, seed=1) != names(0.25, seed=2)


def test_more_than_there_are_is_an_error() -> None:
    with pytest.raises(QuestionError, match=r"40 tuning question\(s\), tuning.size = 41"):
        names(41)
