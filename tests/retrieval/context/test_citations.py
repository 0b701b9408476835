from __future__ import annotations

import pytest
from support.passages import chunk_at
from support.questions import make_question

from fourfold.retrieval.context.citations import cited_numbers, marks_of, not_shown, without_marks
from fourfold.retrieval.context.passage import passage_of


@pytest.mark.parametrize(
    ("answer", "cited", "text"),
    [
        ("At noon [1].", (1,), "At noon."),
        ("At noon [1, 3].", (1, 3), "At noon."),
        ("At noon[1][3] or later [ 2 ].", (1, 3, 2), "At noon or later."),
        ("It is so [2-4], and [1–2] too", (2, 3, 4, 1), "It is so, and too"),
        ("[1] and [3]", (1, 3), "and"),
        ("Both [1 and 3; 2]", (1, 3, 2), "Both"),
        ("As [Passage 2] says [passages 1, 3]", (2, 1, 3), "As says"),
        ("Cited twice [2] [2]", (2,), "Cited twice"),
        ("Line one [1]\nline two [9]", (1, 9), "Line one\nline two"),
        # A range turned round, or too wide to be one, names its ends.
        ("So [4-2]", (4, 2), "So"),
        ("So [1-9999]", (1, 9999), "So"),
        # No citations: an interval from 0, a word, a date, five digits, an index that is never closed.
        ("Between [0, 59] and [0]", (), "Between [0, 59] and [0]"),
        ("See [note], [2024-01-05], [12345], x[i], [1", (), "See [note], [2024-01-05], [12345], x[i], [1"),
        ("(1) and 2", (), "(1) and 2"),
        ("", (), ""),
        ("[3]", (3,), ""),
    ],
)
def test_citations_worked_by_hand(answer: str, cited: tuple[int, ...], text: str) -> None:
    assert cited_numbers(answer) == cited
    assert without_marks(answer) == text


def test_a_number_without_a_passage_is_told_apart() -> None:
    assert not_shown((1, 3, 4, 2), 3) == (4,)
    assert not_shown((1,), 0) == (1,)
    assert not_shown((), 3) == ()


def test_a_long_answer_of_opened_brackets_takes_no_time() -> None:
    answer = "[1," * 50_000
    assert cited_numbers(answer) == ()
    assert without_marks(answer) == answer


def test_an_answer_that_is_learnt_cites_the_passages_that_hold_its_gold() -> None:
    text = "a" * 40
    shown = [
        passage_of(chunk_at(text, span, doc_id=doc_id))
        for doc_id, span in (("d", (0, 10)), ("e", (10, 20)), ("d", (10, 20)), ("d", (19, 40)), ("d", (20, 40)))
    ]
    question = make_question("q", doc_id="d", start=10, end=20)
    assert marks_of(question, shown) == " [3, 4]"
    assert cited_numbers("At noon." + marks_of(question, shown)) == (3, 4)
    assert marks_of(question, shown[:2]) == ""
