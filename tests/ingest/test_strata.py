from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import pytest
from support.questions import make_question

from fourfold.ingest.strata import assign_strata

if TYPE_CHECKING:
    from fourfold.types import Question

LOW = ("Pumps", "Seals")


def tuned(doc_id: str, section: tuple[str, ...], start: int, end: int) -> Question:
    return make_question("g", doc_id=doc_id, section=section, start=start, end=end)


ASKED = make_question("t", split="test", doc_id="d1", section=LOW, start=100, end=200)
FACT = tuned("d1", LOW, 150, 160)
PASSAGE = tuned("d1", LOW, 300, 400)
DOCUMENT = tuned("d1", ("Valves",), 500, 600)
ELSEWHERE = tuned("d2", LOW, 100, 200)


@pytest.mark.parametrize(
    ("other", "stratum"),
    [
        (FACT, "fact asked"),
        (tuned("d1", LOW, 0, 101), "fact asked"),
        (tuned("d1", LOW, 199, 300), "fact asked"),
        (tuned("d1", ("Valves",), 0, 300), "fact asked"),
        (tuned("d1", LOW, 0, 100), "passage tuned"),
        (tuned("d1", LOW, 200, 300), "passage tuned"),
        (PASSAGE, "passage tuned"),
        (DOCUMENT, "document tuned"),
        (tuned("d1", ("Pumps",), 300, 400), "document tuned"),
        (tuned("d1", (*LOW, "Rings"), 300, 400), "document tuned"),
        (ELSEWHERE, "document unseen"),
    ],
)
def test_a_stratum_says_how_near_a_tuning_quote_stands(other: Question, stratum: str) -> None:
    assert [question.stratum for question in assign_strata([ASKED], [other])] == [stratum]


@pytest.mark.parametrize(
    ("others", "stratum"),
    [
        ((FACT, PASSAGE, DOCUMENT, ELSEWHERE), "fact asked"),
        ((PASSAGE, DOCUMENT, ELSEWHERE), "passage tuned"),
        ((DOCUMENT, ELSEWHERE), "document tuned"),
        ((), "document unseen"),
    ],
)
def test_the_nearest_tuning_question_counts_in_any_order(others: tuple[Question, ...], stratum: str) -> None:
    for order in itertools.permutations(others):
        assert assign_strata([ASKED], order)[0].stratum == stratum


def test_questions_keep_their_order_and_all_else() -> None:
    test = [ASKED, dataclasses.replace(ASKED, question_id="t2", doc_id="d2", start=0, end=100)]
    placed = assign_strata(test, [FACT, ELSEWHERE])
    assert [question.stratum for question in placed] == ["fact asked", "passage tuned"]
    assert [dataclasses.replace(question, stratum=None) for question in placed] == test
