from __future__ import annotations

import dataclasses

import pytest
from support.questions import make_question

from fourfold.app.stages.shots import draw
from fourfold.errors import FairnessError, QuestionError

TUNING = [make_question(question_id=f"g{n}", question=f"What is rule {n}?") for n in range(8)]


def test_examples_follow_from_the_seed_and_not_from_the_order_of_the_questions() -> None:
    chosen = draw(TUNING, [], n=3, seed=1)
    assert len({example.question_id for example in chosen}) == 3
    assert draw(TUNING[::-1], [], n=3, seed=1) == chosen
    assert {draw(TUNING, [], n=3, seed=seed) for seed in range(5)} != {chosen}


def test_an_example_that_is_asked_is_refused() -> None:
    asked = [
        dataclasses.replace(question, question_id="t", question=f" {question.question.upper()} ") for question in TUNING
    ]
    with pytest.raises(FairnessError, match="an example shown to the n-shot arms is a question that is asked"):
        draw(TUNING, asked[:8], n=3, seed=0)
    chosen = {example.question for example in draw(TUNING, [], n=3, seed=0)}
    others = [question for question in asked if question.question.strip().capitalize() not in chosen]
    assert draw(TUNING, others, n=3, seed=0)


def test_more_examples_than_tuning_questions_are_refused() -> None:
    with pytest.raises(QuestionError, match="n_shots = 9"):
        draw(TUNING, [], n=9, seed=0)
