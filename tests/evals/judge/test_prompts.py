from __future__ import annotations

import pytest
from support.judges import make_item

from fourfold.evals.judge import prompts
from fourfold.evals.judge.prompts import ordered_levels, pointwise_chat, prompts_digest
from fourfold.evals.judge.rubric import RUBRICS
from fourfold.study import CRITERIA


def test_every_criterion_has_a_rubric_with_distinct_one_digit_levels_best_first() -> None:
    assert set(RUBRICS) == set(CRITERIA)
    for rubric in RUBRICS.values():
        assert len(set(rubric.labels)) == len(rubric.labels)
        assert all(len(label) == 1 and label.isdigit() for label in rubric.labels)
        values = [level.value for level in rubric.levels]
        assert values == sorted(values, reverse=True)
        assert (values[0], values[-1]) == (1.0, 0.0)


def test_prompts_of_one_question_differ_only_in_the_answer_at_the_end() -> None:
    rubric = RUBRICS["correctness"]
    one, other = (pointwise_chat(rubric, make_item(answer=text), how="probabilities") for text in ("yes", "no"))
    assert one[:-1] == other[:-1]
    shared = one[-1].content.index("| yes")
    assert one[-1].content[:shared] == other[-1].content[:shared]
    assert "Answer:" in one[-1].content[:shared]


def test_examples_are_shown_to_judges_read_by_probabilities_alone_in_the_form_that_is_asked_for() -> None:
    for rubric in RUBRICS.values():
        weighed = pointwise_chat(rubric, make_item(guideline="g"), how="probabilities")
        assert len(weighed) == 2 + 2 * len(rubric.examples)
        assert len(pointwise_chat(rubric, make_item(guideline="g"), how="text")) == 2
        for asked, replied in zip(weighed[1:-1:2], weighed[2:-1:2], strict=True):
            assert replied.content in rubric.labels
            fields = [line for line in asked.content.split("\n") if not line.startswith("| ")]
            assert fields == [line for line in weighed[-1].content.split("\n") if not line.startswith("| ")]


def test_repeats_list_the_same_levels_in_other_orders() -> None:
    levels = RUBRICS["groundedness"].levels
    orders = [ordered_levels(levels, repeat) for repeat in range(6)]
    assert orders[0] == levels
    assert orders[1] == levels[::-1]
    assert all(set(order) == set(levels) for order in orders)
    assert len(set(orders)) >= 5
    assert ordered_levels(levels, 4) == ordered_levels(levels, 4)


def test_another_word_in_a_prompt_is_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = prompts_digest(("correctness",), repeats=1)
    assert before == prompts_digest(("correctness",), repeats=1)
    assert before != prompts_digest(("groundedness",), repeats=1)
    assert before != prompts_digest(("correctness",), repeats=2)
    monkeypatch.setattr(prompts, "_PAIR_SYSTEM", "Which is better?")
    assert before != prompts_digest(("correctness",), repeats=1)
