from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from support.pdfs import QUICKSTART

from fourfold.evals.metrics import key_fact_recall
from fourfold.ingest.corpus import Corpus, read_corpus
from fourfold.ingest.questions_file import count_rows, read_questions
from fourfold.study_file import load_study
from fourfold.text import contains_run, squad_tokens
from fourfold.types import Question

EXAMPLES = QUICKSTART.parents[1]
QUESTIONS = QUICKSTART.parent / "questions.jsonl"
STUDIES = sorted(EXAMPLES.rglob("study*.yaml"))


@dataclass(frozen=True)
class Shipped:
    """The files as they are, as our ingest reads them, and each page's text as PyMuPDF alone gives it."""

    rows: tuple[dict[str, Any], ...]
    corpus: Corpus
    questions: tuple[Question, ...]
    page_texts: dict[tuple[str, int], str]


@pytest.fixture(scope="session")
def shipped() -> Shipped:
    corpus = read_corpus(QUICKSTART)
    page_texts = {}
    for path in QUICKSTART.glob("*.pdf"):
        with pymupdf.open(path) as pdf:
            page_texts.update({(path.name, number): page.get_text() for number, page in enumerate(pdf, start=1)})
    return Shipped(
        rows=tuple(json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()),
        corpus=corpus,
        questions=read_questions(QUESTIONS, corpus.documents, corpus.blocks, subset=None),
        page_texts=page_texts,
    )


def test_the_corpus_has_194_pages_and_every_one_is_read(shipped: Shipped) -> None:
    assert {document.status for document in shipped.corpus.documents} == {"read"}
    assert sum(document.n_pages for document in shipped.corpus.documents) == len(shipped.page_texts) == 194
    assert not any(document.unread_pages for document in shipped.corpus.documents)


def test_there_are_176_questions_over_44_sections_of_all_documents(shipped: Shipped) -> None:
    assert len({row["question"] for row in shipped.rows}) == len(shipped.questions) == 176
    assert len({(question.document, question.section) for question in shipped.questions}) == 44
    assert {question.document for question in shipped.questions} == {d.name for d in shipped.corpus.documents}


def test_every_row_is_complete(shipped: Shipped) -> None:
    for row in shipped.rows:
        for field in ("id", "question", "reference", "document", "section", "quote", "type"):
            assert row[field] == row[field].strip() != "", (row["id"], field)
        assert row["question"].endswith("?"), row["id"]
        assert row["key_facts"], row["id"]
        # A string without tokens ("..") would be stated by no answer.
        assert all(fact and all(squad_tokens(string) for string in fact) for fact in row["key_facts"]), row["id"]


def test_our_ingest_finds_every_quote_in_the_named_section(shipped: Shipped) -> None:
    texts = {
        document.doc_id: "\n\n".join(block.text for block in shipped.corpus.blocks if block.doc_id == document.doc_id)
        for document in shipped.corpus.documents
    }
    for row, question in zip(shipped.rows, shipped.questions, strict=True):
        found = texts[question.doc_id][question.start : question.end]
        # `found` keeps the lines' hyphens; the letters are the same.
        assert letters(found) == letters(row["quote"]), row["id"]
        assert question.section[-1] == row["section"], row["id"]


def test_pymupdf_alone_finds_every_quote_on_its_page(shipped: Shipped) -> None:
    """Only white space is made single: no quote spans a word that is divided, or a page's head."""
    for row in shipped.rows:
        page = " ".join(shipped.page_texts[row["document"], row["page"]].split())
        assert " ".join(row["quote"].split()) in page, row["id"]


def test_a_quote_stands_on_no_other_page(shipped: Shipped) -> None:
    for row in shipped.rows:
        quote = " ".join(row["quote"].split())
        pages = [
            number
            for (name, number), text in shipped.page_texts.items()
            if name == row["document"] and quote in " ".join(text.split())
        ]
        assert pages == [row["page"]], row["id"]


def test_every_reference_states_all_key_facts(shipped: Shipped) -> None:
    assert {q.question_id: key_fact_recall(q.reference, q) for q in shipped.questions} == dict.fromkeys(
        (row["id"] for row in shipped.rows), 1.0
    )


def test_every_quote_states_all_key_facts(shipped: Shipped) -> None:
    for question in shipped.questions:
        quote = squad_tokens(question.quote)
        for fact in question.key_facts:
            assert any(contains_run(quote, squad_tokens(string)) for string in fact), (question.question_id, fact)


def test_no_question_states_its_key_facts(shipped: Shipped) -> None:
    giving = [q.question_id for q in shipped.questions if key_fact_recall(q.question, q) == 1]
    assert giving == []


def test_the_demo_asks_two_questions_from_each_of_30_sections(shipped: Shipped) -> None:
    demo = read_questions(QUESTIONS, shipped.corpus.documents, shipped.corpus.blocks, subset="demo")
    counts = Counter((question.document, question.section) for question in demo)
    assert len(demo) == 60
    assert (len(counts), set(counts.values())) == (30, {2})


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_every_study_loads_and_finds_its_files(path: Path) -> None:
    study = load_study(path)
    assert study.corpus.folder.is_dir()
    assert count_rows(study.questions.file, subset=study.questions.subset) > 0


def test_the_studies_ask_what_the_readme_says() -> None:
    asked = {
        path.name: count_rows(load_study(path).questions.file, subset=load_study(path).questions.subset)
        for path in STUDIES
        if path.parent == QUICKSTART.parent
    }
    assert asked == {"study.yaml": 60, "study-full.yaml": 176}


def letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
