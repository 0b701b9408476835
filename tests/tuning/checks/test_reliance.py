from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.questions import make_question

from fourfold.errors import QuestionError
from fourfold.tuning.checks.counterfactual import read_counterfactual
from fourfold.tuning.checks.reliance import Edited, edit_passages, follows, recites
from fourfold.types import Chunk, Question


def question(name: str, asked: str, reference: str, quote: str) -> Question:
    fields: dict[str, Any] = {"question": asked, "reference": reference, "quote": quote, "doc_id": "d"}
    return make_question(name, **fields)


def chunk(text: str, doc_id: str = "d") -> Chunk:
    return Chunk(
        chunk_id=text[:8], doc_id=doc_id, position=0, start=0, end=len(text), page_first=1, page_last=1, section=(),
        n_tokens=9, text=text,
    )  # fmt: skip


PUMP = "The pump runs for 14 hours. In winter 14 hours are too few, and 140 litres leak."
HEAD = "The order is given by Anna Berg on Mondays."


def test_a_number_is_exchanged_everywhere_in_its_passage_and_nowhere_inside_another() -> None:
    asked = question("a", "How long does the pump run?", "for 14 hours", "The pump runs for 14 hours.")
    (edited,) = edit_passages([asked], [chunk(PUMP, "other"), chunk(PUMP)], seed=0)
    (old,), (new,) = edited.old, edited.new
    assert (old, edited.kind) == ("14", "number")
    assert new.isdigit()
    assert new != "14"
    assert edited.passages == (PUMP.replace("14 hours", f"{new} hours"),)
    assert "140 litres" in edited.passages[0]


def test_a_named_term_is_exchanged_for_one_of_another_question() -> None:
    named = question("a", "Who gives the order?", "Anna Berg", HEAD)
    other = question("b", "Where?", "nowhere", "It is kept by Carl Dahl alone.")
    (edited,) = edit_passages([named, other], [chunk(HEAD)], seed=0)
    assert (edited.old, edited.kind) == (("Anna Berg",), "term")
    assert edited.new == ("Carl Dahl",)
    assert "Carl Dahl on Mondays" in edited.passages[0]


@pytest.mark.parametrize(
    ("asked", "reference", "quote", "passage"),
    [
        ("What runs for 14 hours?", "the pump, 14 hours", PUMP, PUMP),  # the question gives it away
        ("How long?", "for long", PUMP, PUMP),  # the reference holds no such fact
        ("How long?", "14 hours", PUMP, "Another passage of 14 hours."),  # no chunk holds the quote
        ("How much?", "1.5 hours", "It takes 1.5 hours.", "It takes 1.5 hours."),  # half a number is none
    ],
)
def test_what_cannot_be_exchanged_is_left_out(asked: str, reference: str, quote: str, passage: str) -> None:
    assert edit_passages([question("a", asked, reference, quote)], [chunk(passage)], seed=0) == []


def test_the_same_seed_gives_the_same_passages() -> None:
    asked = [question("a", "How long?", "14 hours", PUMP)]
    assert edit_passages(asked, [chunk(PUMP)], seed=3) == edit_passages(asked, [chunk(PUMP)], seed=3)


@pytest.mark.parametrize(
    ("answer", "following", "reciting"),
    [("It runs 15 hours.", True, False), ("14 hours", False, True), ("14 or 15 hours", False, False),
     ("", False, False), ("150 hours", False, False)],
)  # fmt: skip
def test_an_answer_follows_the_passage_or_the_weights_or_neither(answer: str, following: bool, reciting: bool) -> None:
    edited = Edited(question_id="a", question="?", passages=("p",), old=("14",), new=("15",), kind="number")
    assert (follows(answer, edited), recites(answer, edited)) == (following, reciting)


def test_rgbs_items_are_read_with_all_spellings(tmp_path: Path) -> None:
    file = tmp_path / "en_fact.json"
    file.write_text(
        '{"id": 4, "query": "When?", "answer": [["May 1", "1 May"]], "fakeanswer": "May 2", "positive": [], '
        '"negative": [], "positive_wrong": ["a", "b", "c", "d"]}\n\n',
        encoding="utf-8",
    )
    (item,) = read_counterfactual(file)
    assert (item.question_id, item.old, item.new) == ("rgb-4", ("May 1", "1 May"), ("May 2",))
    assert item.passages == ("a", "b", "c")
    assert follows("on May 2", item)
    assert recites("on 1 May", item)


@pytest.mark.parametrize(("text", "seen"), [("", "no lines"), ("{}\n", "line 1"), ("[\n", "line 1")])
def test_a_file_of_another_form_is_told(text: str, seen: str, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(QuestionError, match=seen):
        read_counterfactual(file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="cannot be read"):
        read_counterfactual(tmp_path / "none.json")


def test_the_real_file_gives_a_hundred_items(test_data: Path) -> None:
    items = read_counterfactual(test_data / "qa" / "rgb_en_fact.json")
    assert len(items) == 100
    stated = [item for item in items if any(new in passage for new in item.new for passage in item.passages)]
    assert len(stated) > 80
