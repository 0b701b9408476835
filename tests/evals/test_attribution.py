from __future__ import annotations

import math
from collections import Counter
from itertools import product
from typing import Any

import pytest

from fourfold.errors import FairnessError, InputError
from fourfold.evals.attribution import (
    CLASSES,
    Attributed,
    AttributionClass,
    ClassCount,
    ItemOutcome,
    attribute,
    count_classes,
    draws_on_contexts,
)

QUESTION = "At what voltage does the pump run?"
CONTEXTS = ("The pump runs at 40 volts.", "The valve opens at 12 bar of pressure.")


def outcome(**fields: Any) -> ItemOutcome:
    defaults: dict[str, Any] = {
        "arm": "rag",
        "question_id": "q1",
        "question": QUESTION,
        "answer": "12 bar",
        "score": 0.0,
        "failure": None,
        "refused": False,
        "contexts": CONTEXTS,
        "gold_in_context": True,
        "adapted": False,
    }
    return ItemOutcome(**{**defaults, **fields})


def class_of(**fields: Any) -> AttributionClass:
    (item,) = attribute([outcome(**fields)], right_from=0.5)
    return item.kind


FAILED = {"score": None, "answer": None, "failure": "timed out"}
CLOSED = {"contexts": None, "gold_in_context": None}
MISSED = {"gold_in_context": False}
NO_ANSWER = {"answerable": False, "score": None, "gold_in_context": None}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"score": 1.0}, "right"),
        ({"score": 0.5}, "right"),
        ({"score": 1.0, **CLOSED}, "right"),
        ({"score": 1.0, "adapted": True}, "right"),
        ({"score": 1.0, "adapted": True, **CLOSED}, "right"),
        ({"score": 1.0, **MISSED}, "right"),
        ({"score": 1.0, "adapted": True, **MISSED}, "rescued by weights"),
        ({"score": 0.49}, "wrong despite context"),
        ({"answer": "9 kelvin"}, "in context but ignored"),
        ({"answer": ""}, "in context but ignored"),
        (MISSED, "not retrieved"),
        ({"adapted": True, **MISSED}, "not retrieved"),
        (CLOSED, "wrong closed book"),
        ({"refused": True}, "refused"),
        ({"refused": True, **CLOSED}, "refused"),
        (FAILED, "parse or system failure"),
        (NO_ANSWER, "answered the unanswerable"),
        ({**NO_ANSWER, "contexts": None}, "answered the unanswerable"),
        ({**NO_ANSWER, "refused": True}, "rightly declined"),
        ({**NO_ANSWER, "refused": True, "adapted": True}, "rightly declined"),
        ({**NO_ANSWER, **FAILED}, "parse or system failure"),
        # Precedence: a failure before all; a right score before the refusal; the earliest cause before the refusal.
        ({**FAILED, "refused": True, **MISSED}, "parse or system failure"),
        ({**FAILED, **CLOSED}, "parse or system failure"),
        ({"score": 1.0, "refused": True}, "right"),
        ({"refused": True, **MISSED}, "not retrieved"),
    ],
)
def test_classes_by_the_documented_rules(fields: dict[str, Any], expected: AttributionClass) -> None:
    assert class_of(**fields) == expected


def test_every_combination_has_one_class_and_every_class_is_reached() -> None:
    seen: Counter[str] = Counter()
    for score, refused, adapted, place, answer in product(
        (None, 0.0, 1.0), (False, True), (False, True), (CLOSED, MISSED, {}), ("12 bar", "9 kelvin")
    ):
        failure = "timed out" if score is None else None
        seen[class_of(score=score, failure=failure, refused=refused, adapted=adapted, answer=answer, **place)] += 1
    assert sum(seen.values()) == 3 * 2 * 2 * 3 * 2
    for refused in (False, True):
        seen[class_of(refused=refused, **NO_ANSWER)] += 1
    assert set(seen) == set(CLASSES)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        # Half of the own content words is enough.
        ("12 kelvin", True),
        ("12 kelvin newton", False),
        ("12 bar kelvin newton", True),
        # A word counts once.
        ("12 kelvin newton kelvin 12 12 12", False),
        # Words of the question and function words of English do not count, wherever they stand.
        ("The pump does run at 9", False),
        ("The pump does run at 12", True),
        ("at of the pump", False),
        ("It is with the valve", True),
        ("", False),
    ],
)
def test_an_answer_draws_on_the_contexts_by_half_of_its_own_content_words(answer: str, expected: bool) -> None:
    assert draws_on_contexts(answer, QUESTION, CONTEXTS) is expected


def test_without_a_context_nothing_is_drawn() -> None:
    assert not draws_on_contexts("12 bar", QUESTION, ())


def test_counts_have_every_class_and_the_first_three_examples() -> None:
    items = [Attributed(arm="rag", question_id=f"q{i}", kind="right") for i in (5, 3, 1, 2)]
    items += [Attributed(arm="base", question_id="q5", kind="refused")]
    items += [Attributed(arm="rag", question_id="q9", kind="not retrieved")]
    counts = count_classes(items)
    assert [count.arm for count in counts] == ["rag"] * len(CLASSES) + ["base"] * len(CLASSES)
    assert [count.kind for count in counts] == [*CLASSES, *CLASSES]
    assert {count for count in counts if count.n} == {
        ClassCount(arm="rag", kind="right", n=4, examples=("q5", "q3", "q1")),
        ClassCount(arm="rag", kind="not retrieved", n=1, examples=("q9",)),
        ClassCount(arm="base", kind="refused", n=1, examples=("q5",)),
    }
    assert all(count.examples == () for count in counts if not count.n)
    assert count_classes([]) == ()


def test_outcomes_keep_their_order_and_counts_add_up() -> None:
    outcomes = [outcome(arm=arm, question_id=q) for arm in ("rag", "tuned + rag") for q in ("q2", "q1")]
    attributed = attribute(outcomes, right_from=1)
    assert [(item.arm, item.question_id) for item in attributed] == [(o.arm, o.question_id) for o in outcomes]
    assert sum(count.n for count in count_classes(attributed)) == 4
    assert attribute([], right_from=1) == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"score": None},
        {"failure": "timed out"},
        {"score": math.nan},
        {"contexts": None},
        {"gold_in_context": None},
        {**NO_ANSWER, "score": 1.0},
        {**NO_ANSWER, "gold_in_context": False},
    ],
)
def test_an_outcome_that_contradicts_itself_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="outcome of rag on q1"):
        class_of(**fields)


@pytest.mark.parametrize("right_from", [0, -1, 1.1, math.nan])
def test_a_threshold_outside_the_scores_is_refused(right_from: float) -> None:
    with pytest.raises(InputError, match="right"):
        attribute([outcome()], right_from=right_from)


def test_an_arm_that_answers_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        attribute([outcome(), outcome()], right_from=0.5)


def test_arms_with_different_questions_are_refused() -> None:
    with pytest.raises(FairnessError, match="q2"):
        attribute([outcome(), outcome(arm="base", **CLOSED), outcome(question_id="q2")], right_from=0.5)
