from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.questions import make_question

from fourfold.tuning.selection import select_likely, select_own
from fourfold.types import Question

QUESTIONS = [make_question("q1", reference="forty litres"), make_question("q2", reference="at noon")]


def is_correct(answer: str, question: Question) -> bool:
    return question.reference.split()[-1] in answer


@pytest.mark.parametrize(
    ("own", "learnt"),
    [
        ({"q1": ["40 litres", "litres"], "q2": ["at night", "it is noon"]}, ["40 litres", "it is noon"]),
        ({"q1": ["", "no idea"], "q2": ["I don't know", ""]}, ["forty litres", "at noon"]),
        ({"q1": ["x litres"], "q2": []}, ["x litres", "at noon"]),
    ],
)
def test_a_correct_own_answer_takes_the_references_place(own: dict[str, list[str]], learnt: list[str]) -> None:
    selected = select_own(QUESTIONS, own, is_correct)
    assert [question.reference for question in selected] == learnt
    assert [question.question_id for question in selected] == ["q1", "q2"]


def test_the_likeliest_of_the_correct_candidates_is_learnt() -> None:
    asked: list[tuple[str, ...]] = []

    def likelihood(candidates: Sequence[tuple[Question, Sequence[str]]]) -> list[list[float]]:
        asked.extend(tuple(texts) for _, texts in candidates)
        return [[{"forty litres": -2.0, "40 litres": -1.0, "at noon": -0.5, "noon": -0.5}[text] for text in texts]
                for _, texts in candidates]  # fmt: skip

    own = {"q1": ["40 litres", "forty gallons", "40 litres"], "q2": ["noon", ""]}
    selected = select_likely(QUESTIONS, own, is_correct, likelihood)
    # A wrong answer is never weighed, however likely; of equal ones the reference stays.
    assert asked == [("forty litres", "40 litres"), ("at noon", "noon")]
    assert [question.reference for question in selected] == ["40 litres", "at noon"]
