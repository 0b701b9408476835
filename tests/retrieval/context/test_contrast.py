from __future__ import annotations

import dataclasses

import pytest
from support.questions import make_question
from support.word_vectors import by_words

from fourfold.errors import FairnessError, QuestionError
from fourfold.prompts import Contrast
from fourfold.retrieval.context.contrast import choose_contrasts, require_apart
from fourfold.types import Question

EMBED = by_words("pump", "valve", "noon", "litres")


def question(name: str, text: str, reference: str, *facts: str) -> Question:
    return make_question(name, question=text, reference=reference, key_facts=tuple((fact,) for fact in facts))


TUNING = [
    question("t1", "How many litres does the pump give?", "It gives 40 litres.", "40 litres"),
    question("t2", "How many litres does the old pump give?", "Also 40 litres a minute.", "40 litres"),
    question("t3", "What does the pump do?", "It lifts water.", "lifts water"),
    question("t4", "When does the valve close?", "At noon.", "noon"),
]
ASKED = [question("a", "Litres of a pump?", "forty"), question("b", "Is the valve shut?", "yes")]


def test_the_nearest_tuning_questions_are_shown_nearest_last() -> None:
    found = choose_contrasts(ASKED, TUNING[::-1], held_out=ASKED, embed=EMBED, n=2)
    # Equally near: in the order of their ids.
    assert found["a"].example_ids == ("t2", "t1")
    assert found["b"].example_ids[-1] == "t4"


def test_the_incorrect_answer_is_another_questions_reference_that_states_nothing_right() -> None:
    found = choose_contrasts(ASKED, TUNING, held_out=ASKED, embed=EMBED, n=1)
    # t2 is nearer, and right about t1.
    assert found["a"].examples == (
        Contrast(question=TUNING[0].question, correct="It gives 40 litres.", incorrect="It lifts water."),
    )


def test_a_tuning_question_is_not_its_own_example() -> None:
    found = choose_contrasts(TUNING[3:], TUNING, held_out=[], embed=EMBED, n=3)
    assert "t4" not in found["t4"].example_ids


@pytest.mark.parametrize("text", ["When does the valve close?", "  WHEN does the\nvalve close? "])
def test_a_pool_that_holds_a_question_that_is_asked_is_refused(text: str) -> None:
    asked = dataclasses.replace(ASKED[0], question=text)
    with pytest.raises(FairnessError, match="holds questions that are asked") as error:
        choose_contrasts([ASKED[1]], TUNING, held_out=[asked], embed=EMBED, n=1)
    assert "When does the valve close?" in str(error.value.seen)
    require_apart(TUNING, ASKED)


def test_a_pool_too_small_is_refused() -> None:
    with pytest.raises(QuestionError, match="fewer tuning questions than examples"):
        choose_contrasts(ASKED, TUNING, held_out=[], embed=EMBED, n=5)
    with pytest.raises(QuestionError, match="fewer tuning questions than examples"):
        choose_contrasts(TUNING, TUNING, held_out=[], embed=EMBED, n=4)


def test_a_pool_in_which_every_answer_is_right_is_refused() -> None:
    with pytest.raises(QuestionError, match="no incorrect answer was found"):
        choose_contrasts(ASKED, TUNING[:2], held_out=[], embed=EMBED, n=1)


def test_without_key_facts_the_reference_is_the_fact() -> None:
    tuning = [question("x", "pump?", "yes"), question("y", "pump!", "Yes, sir"), question("z", "valve?", "no")]
    found = choose_contrasts(ASKED[:1], tuning, held_out=[], embed=EMBED, n=1)
    assert found["a"].examples[0].incorrect == "no"
