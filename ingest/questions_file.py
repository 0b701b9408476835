"""Test questions from a file (JSONL, CSV, SQuAD JSON), each with a quote that must stand in its document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fourfold.errors import QuestionError
from fourfold.ingest.quotes import locate, page_at, page_span, section_at
from fourfold.ingest.readers import read_raw
from fourfold.text import squad_tokens
from fourfold.types import BLOCK_SEPARATOR, Block, Document, Evidence, Question

_SHOWN = 10


class QuestionRow(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, description="unique within the file")
    question: str = Field(min_length=1)
    reference: str = Field(min_length=1, description="the reference answer")
    key_facts: tuple[tuple[str, ...], ...] = Field((), description="per fact, the strings any one of which states it")
    document: str = Field(min_length=1, description="path of the PDF within the corpus folder")
    page: int | None = Field(None, ge=1, description="page of the quote, counted from 1; null: its only place is found")
    quote: str = Field(
        min_length=1, description="verbatim passage on that page (else in the document) that supports the reference"
    )
    section: str = Field("", description="heading above the quote, for readers; the study finds its own")
    type: str = Field("", description="kind of question, for the report's strata")
    tags: tuple[str, ...] = Field((), description="subjects, for the report's strata")
    evidence: Evidence | None = Field(None, description="whether the quote is running text or stands in a table")
    n_passages: int | None = Field(None, ge=1, description="passages that an answer needs")
    subsets: tuple[str, ...] = Field((), description="names by which questions.subset selects rows")

    @field_validator("id", "question", "reference", "document", "quote")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is blank")
        return value

    @field_validator("key_facts")
    @classmethod
    def _facts_with_words(cls, value: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        # A fact without a word would stand in no answer, or in every one.
        if not all(fact and all(squad_tokens(string) for string in fact) for fact in value):
            raise ValueError("every key fact needs at least one string, and every string a word or number")
        return value


def read_questions(
    path: Path, documents: Sequence[Document], blocks: Iterable[Block], *, subset: str | None
) -> tuple[Question, ...]:
    """Read and place test questions, in the file's order.

    Raises:
        QuestionError: no file, bad lines, no rows, unknown documents, or quotes that are not on their page; all such
            rows in one message.
    """
    rows = _select(path, subset)
    by_name = {document.name: document for document in documents}
    by_document: dict[str, list[Block]] = {}
    for block in blocks:
        by_document.setdefault(block.doc_id, []).append(block)
    placed: list[Question] = []
    problems: list[str] = []
    for row in rows:
        question = place_row(row, by_name.get(row.document), by_document)
        if isinstance(question, Question):
            placed.append(question)
        else:
            problems.append(f"{row.id}: {question}")
    if problems:
        raise QuestionError(
            f"{len(problems)} of {len(rows)} test questions do not fit the documents",
            seen=_list(problems),
            expected="for each row a document of the corpus and a verbatim quote on the named page",
            hint=f"correct {path.name}: copy the quote from the PDF's own text",
        )
    return tuple(placed)


def count_rows(path: Path | None, *, subset: str | None) -> int:
    """How many test questions a study has, their form checked.

    Raises:
        QuestionError: no file named or there, bad lines, or no rows.
    """
    return len(_select(require_file(path), subset))


def require_file(path: Path | None) -> Path:
    """The file of test questions.

    Raises:
        QuestionError: none is named, or it is not there.
    """
    if path is None:
        raise QuestionError(
            "no test questions",
            seen="questions.file is not set",
            expected="a file of test questions with their quotes (JSONL, CSV or SQuAD JSON)",
            hint="write at least a few dozen questions of your own and name the file in questions.file",
        )
    if not path.is_file():
        raise QuestionError(
            "the test questions are not there",
            seen=path,
            expected="a JSONL, CSV or SQuAD JSON file",
            hint="correct questions.file, or leave it out: test questions are then made by cloze",
        )
    return path


def _select(path: Path, subset: str | None) -> list[QuestionRow]:
    rows = [row for row in _parse(path) if subset is None or subset in row.subsets]
    if not rows:
        raise QuestionError(
            "no test questions",
            seen=f"{path.name}: 0 rows" + (f" with subset '{subset}'" if subset else ""),
            expected="at least 1 test question",
            hint="add rows to the file, or correct questions.subset",
        )
    return rows


def _parse(path: Path) -> list[QuestionRow]:
    rows: list[QuestionRow] = []
    problems: list[str] = []
    for raw in read_raw(path):
        try:
            rows.append(
                QuestionRow.model_validate_json(raw.fields)
                if isinstance(raw.fields, str)
                else QuestionRow.model_validate(raw.fields)
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            problems.append(f"{raw.place}: {where + ': ' if where else ''}{first['msg']}")
    seen: set[str] = set()
    problems += [f"id {row.id!r} stands twice" for row in rows if row.id in seen or seen.add(row.id)]  # type: ignore[func-returns-value]
    if problems:
        raise QuestionError(
            f"{path.name}: {len(problems)} row(s) are wrong",
            seen=_list(problems),
            expected="per question id, question, reference, document, page, quote, and optionally key_facts",
            hint="correct these lines",
        )
    return rows


def place_row(
    row: QuestionRow, document: Document | None, by_document: Mapping[str, Sequence[Block]]
) -> Question | str:
    """A person's question at its quote; in words, why it has no place.

    Args:
        row: the question.
        document: the one that it names; None: there is none.
        by_document: per document id its blocks, in order.
    """
    if document is None:
        return f"no document '{row.document}' in the corpus"
    if document.status != "read":
        return f"'{row.document}' could not be read: {document.reason}"
    blocks = by_document[document.doc_id]
    text = BLOCK_SEPARATOR.join(block.text for block in blocks)
    region = (0, len(text)) if row.page is None else page_span(blocks, row.page)
    if region is None:
        return f"page {row.page} of '{row.document}' has no text (it has {document.n_pages} pages)"
    span = locate(row.quote, text, start=region[0], end=region[1])
    if span is None:
        where = f"in '{row.document}'" if row.page is None else f"on page {row.page} of '{row.document}'"
        return f"quote not {where}: {row.quote[:80]!r}"
    if row.page is None and locate(row.quote, text, start=span[0] + 1, end=len(text)) is not None:
        return f"quote more than once in '{row.document}', name its page: {row.quote[:80]!r}"
    return Question(
        question_id=row.id,
        split="test",
        question=row.question,
        reference=row.reference,
        key_facts=row.key_facts,
        doc_id=document.doc_id,
        document=document.name,
        page=row.page or page_at(blocks, span[0]),
        start=span[0],
        end=span[1],
        quote=row.quote,
        section=section_at(blocks, span[0]),
        reference_source="person",
        kind=row.type,
        tags=row.tags,
        # It has a quote that supports its reference.
        answerable=True,
        evidence=row.evidence,
        n_passages=row.n_passages,
    )


def _list(problems: Sequence[str]) -> str:
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return "\n            ".join([*problems[:_SHOWN], *more])
