from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.manual import manual
from support.questions import make_question

from fourfold.errors import QuestionError
from fourfold.ingest.candidates import Candidate
from fourfold.ingest.generators import FileGenerator, any_of, describe_test_questions, overlapping
from fourfold.study import QuestionSettings


def candidate(doc_id: str, start: int, end: int) -> Candidate:
    return Candidate(doc_id=doc_id, document="", page=1, section=(), start=start, end=end, quote="x")


@pytest.mark.parametrize(
    ("doc_id", "start", "end", "skipped"),
    [("d1", 5, 10, False), ("d1", 5, 11, True), ("d1", 19, 30, True), ("d1", 20, 30, False), ("d2", 10, 20, False)],
)
def test_a_sentence_is_skipped_that_shares_a_character_with_a_quote(
    doc_id: str, start: int, end: int, skipped: bool
) -> None:
    skip = overlapping([make_question("q", doc_id="d1", start=10, end=20)])
    assert skip(candidate(doc_id, start, end)) is skipped
    assert any_of(lambda _: False, skip)(candidate(doc_id, start, end)) is skipped
    assert any_of(lambda _: True, skip)(candidate(doc_id, start, end))


def write(folder: Path) -> Path:
    rows = [
        {"id": name, "question": "How many?", "reference": "9", "document": "manual.pdf", "quote": "checks 9 valves"}
        for name in "abc"
    ]
    path = folder / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_file_gives_all_its_questions_or_the_first(tmp_path: Path) -> None:
    documents, blocks = manual({"Valves": ["The crew checks 9 valves."]})
    made = FileGenerator(path=write(tmp_path))
    assert [q.question_id for q in made.generate(documents, blocks).questions] == ["a", "b", "c"]
    first = made.generate(documents, blocks, n_wanted=2, skip=lambda _: True)
    assert [q.question_id for q in first.questions] == ["a", "b"]


def test_where_test_questions_come_from_is_told_before_they_are_made(tmp_path: Path) -> None:
    assert describe_test_questions(QuestionSettings(file=write(tmp_path))) == "3 rows"
    told = describe_test_questions(QuestionSettings(n_test=7))
    assert told.startswith("7 to be made by cloze")
    assert "not reviewed" in told
    with pytest.raises(QuestionError, match="are not there"):
        describe_test_questions(QuestionSettings(file=tmp_path / "none.jsonl"))
