from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.manual import manual

from fourfold.errors import QuestionError
from fourfold.ingest.questions_file import read_questions
from fourfold.ingest.readers import read_raw
from fourfold.types import Question

DOCUMENTS, BLOCKS = manual(
    {
        "Reservoir": ["The reservoir of the north plant is emptied twice a year. It holds 40 litres."],
        "Boiler": ["The main boiler is fired with wood, not coal.", "The gauge is read at noon."],
        "Gauge": ["The gauge is read at noon."],
    }
)
HEADING = "id,question,reference,document,page,quote,key_facts,tags,type\n"
ROW = (
    'a,"What, and how often?",twice a year,manual.pdf,1,is emptied twice a year,'
    'twice a year|two times; reservoir,"x; y",rule\n'
)


def read(path: Path) -> tuple[Question, ...]:
    return read_questions(path, DOCUMENTS, BLOCKS, subset=None)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def squad(folder: Path, *items: dict[str, Any], title: str = "manual", context: str | None = None) -> Path:
    text = context or BLOCKS[0].text
    file = {"version": "v2.0", "data": [{"title": title, "paragraphs": [{"context": text, "qas": list(items)}]}]}
    return write(folder, "questions.json", json.dumps(file))


def item(name: str, answer: str, *more: str, context: str = BLOCKS[0].text) -> dict[str, Any]:
    answers = [{"text": text, "answer_start": context.index(text)} for text in (answer, *more)]
    return {"id": name, "question": f"What of {name}?", "answers": answers}


def test_a_csv_row_is_a_question_with_facts_divided_by_semicolons_and_wordings_by_bars(tmp_path: Path) -> None:
    (question,) = read(write(tmp_path, "q.csv", "\ufeff" + HEADING + ROW + ",,,,,,,,\n"))
    assert (question.question_id, question.question) == ("a", "What, and how often?")
    assert question.key_facts == (("twice a year", "two times"), ("reservoir",))
    assert (question.tags, question.kind, question.page) == (("x", "y"), "rule", 1)
    assert question.section == ("Manual", "Reservoir")


def test_a_csv_and_the_same_jsonl_give_the_same_questions(tmp_path: Path) -> None:
    fields = {
        "id": "a", "question": "What, and how often?", "reference": "twice a year", "document": "manual.pdf",
        "page": 1, "quote": "is emptied twice a year", "key_facts": [["twice a year", "two times"], ["reservoir"]],
        "tags": ["x", "y"], "type": "rule",
    }  # fmt: skip
    assert read(write(tmp_path, "q.csv", HEADING + ROW)) == read(write(tmp_path, "q.jsonl", json.dumps(fields)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADING + ROW.replace(",1,", ",0,"), "line 2: page"),
        ("id,answer\na,b\n", "line 2: "),
        (HEADING + ROW.strip() + ",surplus\n", "(more cells than the heading)"),
        ("id,id\na,b\n", "every column once"),
        (HEADING + 'a,"open\n', "no CSV"),
        (HEADING + ROW + ROW, "stands twice"),
        (HEADING, "0 rows"),
    ],
)
def test_what_is_wrong_with_a_csv_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(QuestionError) as error:
        read(write(tmp_path, "q.csv", text))
    assert said in str(error.value)


def test_a_squad_answer_becomes_reference_and_its_sentence_the_quote(tmp_path: Path) -> None:
    one, other = read(squad(tmp_path, item("a", "twice a year", "a year", "twice a year"), item("b", "40 litres")))
    assert (one.reference, one.key_facts) == ("twice a year", (("twice a year", "a year"),))
    assert one.quote == "The reservoir of the north plant is emptied twice a year."
    assert other.quote == "It holds 40 litres."
    assert (other.start, other.end, other.page) == (58, 77, 1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": "x", "question": "?", "answers": [], "is_impossible": True}, "without an answer at its place"),
        ({"id": "x", "question": "?", "answers": [{"text": "year", "answer_start": 0}]}, "without an answer at its"),
        ({"id": "x", "answers": []}, "data.0.paragraphs.0.qas.0.question"),
    ],
)
def test_what_is_wrong_with_a_squad_file_is_told(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(QuestionError) as error:
        read(squad(tmp_path, wrong))
    assert said in str(error.value)


def test_a_squad_article_of_no_document_is_told(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match=r"no document 'other\.pdf'"):
        read(squad(tmp_path, item("a", "twice a year"), title="other"))


def test_without_a_page_a_quote_must_have_one_place(tmp_path: Path) -> None:
    rows = "id,question,reference,document,quote\n"
    (question,) = read(write(tmp_path, "q.csv", rows + "a,Fired?,wood,manual.pdf,fired with wood\n"))
    assert (question.page, question.section[-1]) == (2, "Boiler")
    with pytest.raises(QuestionError, match="more than once"):
        read(write(tmp_path, "q.csv", rows + "a,Read?,noon,manual.pdf,is read at noon\n"))


def test_any_other_ending_is_json_lines(tmp_path: Path) -> None:
    rows = read_raw(write(tmp_path, "q.txt", '{"a": 1}\r\n\n{"b": 2}'))
    assert [(row.place, row.fields) for row in rows] == [("line 1", '{"a": 1}'), ("line 3", '{"b": 2}')]
