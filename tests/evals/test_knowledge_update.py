from __future__ import annotations

import dataclasses

import pytest
from support.questions import make_question
from support.reports import document

from fourfold.errors import DocumentError
from fourfold.evals.knowledge_update import find_changes, find_stale, states_old
from fourfold.types import Block, Document, Question


def read(name: str, doc_id: str) -> Document:
    return document(doc_id, name)


def block(doc_id: str, text: str) -> Block:
    return Block(
        doc_id=doc_id, position=0, kind="text", page=1, bbox=(0, 0, 1, 1), start=0, end=len(text), section=(), text=text
    )  # fmt: skip


def test_documents_are_changed_removed_or_added_by_name_and_bytes() -> None:
    before = [read("a", "1"), read("b", "2"), read("c", "3"), document("9", "d", reason="broken")]
    found = find_changes(before, [read("a", "1"), read("b", "5"), read("e", "3")])
    assert (found.changed, found.removed, found.added) == (("b",), ("c",), ("e",))


def test_the_same_documents_are_no_update() -> None:
    before = [read("a", "1"), document("9", "d", reason="broken")]
    with pytest.raises(DocumentError, match="the one that was tuned on"):
        find_changes(before, [read("a", "1")])


def asked(name: str, quote: str) -> Question:
    return make_question(name, quote=quote)


def test_a_quote_is_stale_where_no_document_holds_it_whole() -> None:
    blocks = [block("x", "The pump runs"), block("x", "for 14 hours, at most."), block("y", "Valves close at noon.")]
    questions = [
        asked("kept", "the pump  runs for 14 hours"),  # over two blocks, other spaces and case
        asked("moved", "Valves close at noon."),
        asked("part", "14 hours, at mos"),  # ends within a word
        asked("across", "at most. Valves close"),  # over two documents
        dataclasses.replace(asked("none", ""), answerable=False),
    ]
    assert [question.question_id for question in find_stale(questions, blocks)] == ["part", "across"]


@pytest.mark.parametrize(
    ("answer", "old"),
    [("In 4 hours, by Anna.", True), ("in 4 hours", False), ("in 9 hours, by Anna", False), ("", False)],
)
def test_an_answer_is_stale_where_it_states_every_old_fact(answer: str, old: bool) -> None:
    question = make_question("a", key_facts=(("4 hours", "four hours"), ("Anna",)))
    assert states_old(answer, question) is old
