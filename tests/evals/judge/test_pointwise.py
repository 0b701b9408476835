from __future__ import annotations

import math

import pytest
from support.judges import ScriptedJudge, answer_in, make_item, user_text

from fourfold.evals.judge.pointwise import judge_items
from fourfold.evals.judge.rubric import RUBRICS
from fourfold.llm.port import Refusal

CORRECTNESS = RUBRICS["correctness"]


def test_probabilities_give_the_expected_value_and_no_reply_is_asked_for() -> None:
    judge = ScriptedJudge(weigh=lambda _: (math.log(0.4), math.log(0.2), math.log(0.1), math.log(0.1)))
    (found,) = judge_items(judge, CORRECTNESS, [make_item()])
    # Full .5, partial .25, wrong and refusal .125 each: .5 + .25 × .5.
    assert found.value == pytest.approx(0.625)
    assert found.probabilities == pytest.approx((0.5, 0.25, 0.125, 0.125))
    assert found.mass == pytest.approx(0.8)
    assert found.failure is None


def test_written_ratings_give_the_level_and_the_reason() -> None:
    judge = ScriptedJudge(write=lambda _: '{"reason": "a part of it", "rating": 3}')
    (found,) = judge_items(judge, CORRECTNESS, [make_item()])
    assert (found.value, found.reason, found.failure, found.probabilities) == (0.5, "a part of it", None, ())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("It is a fine answer.", "no rating"),
        ('{"rating": ', "no rating"),
        ("", "nothing"),
        ('{"rating": 9}', "none of"),
        (Refusal(reason="500 Internal Server Error: no"), "500"),
        (Refusal(reason="no whole reply within 5 s"), "no whole reply"),
    ],
)
def test_each_failure_keeps_its_reason_and_costs_only_its_own_item(text: str | Refusal, why: str) -> None:
    judge = ScriptedJudge(write=lambda chat: text if answer_in(chat) == "bad" else '{"rating": 4}')
    items = [make_item("a"), make_item("b", answer="bad"), make_item("c")]
    found = judge_items(judge, CORRECTNESS, items)
    assert [one.item_id for one in found] == ["a", "b", "c"]
    assert [one.value for one in found] == [1.0, None, 1.0]
    assert found[1].failure is not None
    assert why in found[1].failure


def test_a_refused_prompt_fails_with_its_reason() -> None:
    judge = ScriptedJudge(weigh=lambda _: Refusal(reason="prompt of 30000 tokens, limit 8191"))
    (found,) = judge_items(judge, CORRECTNESS, [make_item(answer="x" * 100_000)])
    assert (found.value, found.failure) == (None, "prompt of 30000 tokens, limit 8191")


def test_ratings_without_any_probability_are_a_failure() -> None:
    judge = ScriptedJudge(weigh=lambda _: (-math.inf,) * 4)
    (found,) = judge_items(judge, CORRECTNESS, [make_item()])
    assert found.value is None
    assert found.failure is not None


def test_an_item_without_guideline_is_not_given_to_the_judge() -> None:
    judge = ScriptedJudge(write=lambda _: '{"rating": 5}')
    items = [make_item("a", guideline="names the interval"), make_item("b")]
    found = judge_items(judge, RUBRICS["guideline accuracy"], items)
    assert [one.value for one in found] == [1.0, None]
    assert found[1].failure == "its question has no guideline"
    assert len(judge.asked) == 1


def test_in_a_debate_the_others_are_heard_and_quoted() -> None:
    judge = ScriptedJudge(weigh=lambda _: (0.0,) * 4, write=lambda _: '{"rating": 2}')
    (found,) = judge_items(judge, CORRECTNESS, [make_item()], others={"i": "Judge 1 gives 4 (full)"})
    assert found.value == 0.0
    assert "| Judge 1 gives 4 (full)" in user_text(judge.asked[0])


def test_no_items_are_no_opinions() -> None:
    assert judge_items(ScriptedJudge(weigh=lambda _: (0.0,)), CORRECTNESS, []) == []
