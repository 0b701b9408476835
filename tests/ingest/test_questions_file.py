from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.pdfs import PROSE, Text, column, encrypted_pdf, pdf_bytes

from fourfold.errors import QuestionError
from fourfold.ingest.corpus import Corpus, read_corpus
from fourfold.ingest.questions_file import count_rows, read_questions, require_file

if TYPE_CHECKING:
    from pathlib import Path

    from fourfold.types import Question

FIRST = "The reservoir of the north plant is emptied twice a year."


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Two pages, a section on each; and a file that cannot be read."""
    folder = tmp_path_factory.mktemp("corpus")
    pages = [
        [Text(72, 80, "1 The reservoir", 18, bold=True), *column(72, 120, [FIRST, *PROSE])],
        [Text(72, 80, "2 The boiler", 18, bold=True), Text(72, 120, "The main boiler is fired with wood, not coal.")],
    ]
    (folder / "plant.pdf").write_bytes(pdf_bytes(pages, toc=[(1, "1 The reservoir", 1), (1, "2 The boiler", 2)]))
    (folder / "locked.pdf").write_bytes(encrypted_pdf(user_password="secret"))
    return read_corpus(folder)


def row(name: str, **fields: Any) -> dict[str, Any]:
    defaults = {
        "id": name, "question": "How often is the reservoir emptied?", "reference": "twice a year",
        "document": "plant.pdf", "page": 1, "quote": "is emptied twice a year",
    }  # fmt: skip
    return {**defaults, **fields}


def write(folder: Path, *rows: dict[str, Any] | str) -> Path:
    path = folder / "questions.jsonl"
    lines = [some if isinstance(some, str) else json.dumps(some, ensure_ascii=False) for some in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path, corpus: Corpus, *, subset: str | None = None) -> tuple[Question, ...]:
    return read_questions(path, corpus.documents, corpus.blocks, subset=subset)


def complaint(path: Path, corpus: Corpus, *, subset: str | None = None) -> str:
    with pytest.raises(QuestionError) as error:
        read(path, corpus, subset=subset)
    return str(error.value)


def test_a_question_is_placed_at_its_quote(tmp_path: Path, corpus: Corpus) -> None:
    facts = [["twice a year", "two times a year"], ["emptied"]]
    path = write(tmp_path, row("q1", key_facts=facts, type="number", section="for readers only"))
    (question,) = read(path, corpus)
    text = "\n\n".join(block.text for block in corpus.blocks)
    assert text[question.start : question.end] == question.quote == "is emptied twice a year"
    assert (question.question_id, question.split, question.page) == ("q1", "test", 1)
    assert (question.question, question.reference) == ("How often is the reservoir emptied?", "twice a year")
    assert question.key_facts == (("twice a year", "two times a year"), ("emptied",))
    assert [(d.doc_id, d.name) for d in corpus.documents if d.status == "read"] == [
        (question.doc_id, question.document)
    ]
    assert question.section == ("The reservoir",)
    assert (question.reference_source, question.kind, question.stratum) == ("person", "number", None)


def test_a_quote_may_span_lines_and_differ_in_spelling(tmp_path: Path, corpus: Corpus) -> None:
    rows = [row("prose", quote="as soon as the soil can be worked"), row("spelt", page=2, quote="wood,\nnot  COAL")]
    prose, spelt = read(write(tmp_path, *rows), corpus)
    text = "\n\n".join(block.text for block in corpus.blocks)
    assert text[prose.start : prose.end].split() == prose.quote.split()
    assert text[spelt.start : spelt.end] == "wood, not coal"
    assert spelt.section == ("The boiler",)


def test_questions_keep_the_order_of_the_file(tmp_path: Path, corpus: Corpus) -> None:
    path = write(tmp_path, row("b"), row("c", page=2, quote="not coal"), row("a"))
    assert [question.question_id for question in read(path, corpus)] == ["b", "c", "a"]


def test_all_rows_that_do_not_fit_the_documents_are_named_together(tmp_path: Path, corpus: Corpus) -> None:
    said = complaint(
        write(
            tmp_path,
            row("strange", document="other.pdf"),
            row("locked", document="locked.pdf"),
            row("beyond", page=3),
            row("good"),
            row("moved", page=2),
            row("altered", quote="is emptied thrice a year"),
        ),
        corpus,
    )
    assert "5 of 6 test questions" in said
    assert "strange: no document 'other.pdf'" in said
    assert "locked: 'locked.pdf' could not be read: " in said
    assert "beyond: page 3 of 'plant.pdf' has no text (it has 2 pages)" in said
    assert "moved: quote not on page 2 of 'plant.pdf': 'is emptied twice a year'" in said
    assert "altered: quote not on page 1" in said
    assert "good" not in said


def test_all_lines_that_are_wrong_are_named_together(tmp_path: Path, corpus: Corpus) -> None:
    without_quote = {key: value for key, value in row("q").items() if key != "quote"}
    said = complaint(
        write(
            tmp_path,
            "{",
            row("twin"),
            "",
            without_quote,
            row("q", answer="x"),
            row("q", page=0),
            row("", reference="x"),
            row("q", key_facts=["twice"]),
            row("twin"),
        ),
        corpus,
    )
    assert "questions.jsonl: 7 row(s) are wrong" in said
    assert "line 1: Invalid JSON" in said
    assert "line 4: quote: " in said
    assert "line 5: answer: " in said
    assert "line 6: page: " in said
    assert "line 7: id: " in said
    assert "line 8: key_facts.0: " in said
    assert "id 'twin' stands twice" in said
    assert not any(f"line {number}:" in said for number in (2, 3, 9))


def test_ten_mistakes_are_shown_and_the_others_counted(tmp_path: Path, corpus: Corpus) -> None:
    said = complaint(write(tmp_path, *(row(f"q{at:02}", page=2) for at in range(1, 13))), corpus)
    assert "12 of 12" in said
    assert "q10: " in said
    assert "q11: " not in said
    assert "and 2 more" in said


def test_a_subset_selects_rows_and_only_these_must_fit(tmp_path: Path, corpus: Corpus) -> None:
    path = write(
        tmp_path, row("q1", subsets=["demo", "x"]), row("q2", document="other.pdf"), row("q3", subsets=["demo"])
    )
    assert [question.question_id for question in read(path, corpus, subset="demo")] == ["q1", "q3"]
    assert [question.question_id for question in read(path, corpus, subset="x")] == ["q1"]
    assert "0 rows with subset 'dem'" in complaint(path, corpus, subset="dem")


def test_byte_order_mark_crlf_and_blank_lines_are_no_mistakes(tmp_path: Path, corpus: Corpus) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(f"\ufeff{json.dumps(row('q1'))}\r\n  \r\n\r\n{json.dumps(row('q2'))}".encode())
    assert [question.question_id for question in read(path, corpus)] == ["q1", "q2"]


@pytest.mark.parametrize("separator", ["\u2028", "\u0085"])
def test_only_a_line_feed_ends_a_row(tmp_path: Path, corpus: Corpus, separator: str) -> None:
    path = write(tmp_path, row("q1", quote=f"is emptied{separator}twice a year"), row("q2"))
    assert [question.question_id for question in read(path, corpus)] == ["q1", "q2"]


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_file_without_rows_is_an_error(tmp_path: Path, corpus: Corpus, content: bytes) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(content)
    assert "questions.jsonl: 0 rows" in complaint(path, corpus)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, corpus: Corpus) -> None:
    path = tmp_path / "questions.jsonl"
    assert "cannot be read" in complaint(path, corpus)
    path.write_bytes(json.dumps(row("q1", reference="Käse"), ensure_ascii=False).encode("latin-1"))
    assert "a UTF-8 JSONL, CSV or SQuAD JSON file" in complaint(path, corpus)


def test_rows_are_counted_without_the_documents(tmp_path: Path) -> None:
    path = write(tmp_path, row("q1", document="other.pdf"), row("q2", subsets=["demo"]))
    assert count_rows(path, subset=None) == 2
    assert count_rows(path, subset="demo") == 1
    with pytest.raises(QuestionError, match="stands twice"):
        count_rows(write(tmp_path, row("q1"), row("q1")), subset=None)


def test_the_file_must_be_named_and_there(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match=r"questions\.file is not set"):
        require_file(None)
    for path in (tmp_path / "missing.jsonl", tmp_path):
        with pytest.raises(QuestionError, match="are not there"):
            count_rows(path, subset=None)
    path = write(tmp_path, row("q1"))
    assert require_file(path) == path
