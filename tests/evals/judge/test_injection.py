from __future__ import annotations

import math

import pytest
from support.judges import ScriptedJudge, answer_in, make_item

from fourfold.evals.judge.injection import injected, measure_shift
from fourfold.evals.judge.injections import INJECTIONS
from fourfold.evals.judge.rubric import RUBRICS
from fourfold.llm.port import Chat, Refusal

RUBRIC = RUBRICS["correctness"]
ITEMS = [make_item(str(at), answer="wrong") for at in range(7)]
CLUSTERS = {str(at): f"c{at}" for at in range(7)}
BEST, WORST = (0.0, -math.inf, -math.inf, -math.inf), (-math.inf, -math.inf, 0.0, -math.inf)


def test_every_text_is_tried_once_on_answers_in_turn() -> None:
    found = injected(ITEMS, RUBRIC)
    assert len(found) == len(INJECTIONS)
    assert len({item.item_id for item in found}) == len(INJECTIONS)
    assert all(item.answer.startswith("wrong ") for item in found)
    assert "{best}" not in "".join(item.answer for item in found)
    assert injected([], RUBRIC) == []


def test_a_judge_that_obeys_is_shown_to_and_one_that_does_not_is_not() -> None:
    obeys = ScriptedJudge(weigh=lambda chat: WORST if answer_in(chat) == "wrong" else BEST)
    found = measure_shift(obeys, RUBRIC, ITEMS, CLUSTERS)
    assert found.value == 1.0
    firm = ScriptedJudge(weigh=lambda _: WORST)
    assert measure_shift(firm, RUBRIC, ITEMS, CLUSTERS).value == 0.0


def test_the_shift_of_some_texts_has_an_interval() -> None:
    def some(chat: Chat) -> tuple[float, ...]:
        return BEST if "instructions" in answer_in(chat) else WORST

    found = measure_shift(ScriptedJudge(weigh=some), RUBRIC, ITEMS, CLUSTERS)
    n_obeyed = sum("instructions" in text for text in INJECTIONS)
    assert found.value == pytest.approx(n_obeyed / len(INJECTIONS))
    assert found.low is not None
    assert found.high is not None
    assert found.low < (found.value or 0) < found.high


def test_texts_that_the_judge_refuses_are_missing_not_resisted() -> None:
    judge = ScriptedJudge(weigh=lambda chat: WORST if answer_in(chat) == "wrong" else Refusal(reason="too long"))
    found = measure_shift(judge, RUBRIC, ITEMS, CLUSTERS)
    assert (found.value, found.n_missing) == (None, len(INJECTIONS))


def test_a_study_without_answers_has_no_shift() -> None:
    assert measure_shift(ScriptedJudge(weigh=lambda _: WORST), RUBRIC, [], {}).value is None
