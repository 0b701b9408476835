"""A sheet on which a person accepts, fixes or drops generated questions, written out and read back.

What was reviewed is kept as it stands on the sheet, whatever would be generated now: every field that a question needs
is on it. An accepted or fixed question counts as a person's (`reference_source` "person").
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fourfold.errors import QuestionError
from fourfold.ingest.questions_file import QuestionRow, place_row
from fourfold.types import Block, Document, Question, Split

_SHOWN = 10
# A cell that begins so is a formula to a spreadsheet; the text of a PDF must not become one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class SheetRow(BaseModel):
    """One line of the sheet. An empty verdict: not reviewed yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    reference: str = Field(min_length=1)
    key_facts: tuple[tuple[str, ...], ...] = ()
    quote: str = Field(min_length=1)
    document: str = Field(min_length=1)
    page: int = Field(ge=1)
    verdict: Literal["", "accept", "fix", "drop"] = ""
    fixed_question: str = ""
    fixed_reference: str = ""
    split: Split
    kind: str = ""
    source: Literal["model", "quote"]

    @field_validator("verdict", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("key_facts", mode="before")
    @classmethod
    def _from_json(cls, value: object) -> object:
        return value if not isinstance(value, str) else json.loads(value) if value.strip() else ()

    @model_validator(mode="after")
    def _fixed_where_said(self) -> SheetRow:
        fixed = bool(self.fixed_question.strip() or self.fixed_reference.strip())
        if (self.verdict == "fix") != fixed:
            raise ValueError("verdict fix needs fixed_question or fixed_reference, and no other verdict has one")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What a sheet holds.

    `questions` are those to keep, in its order: accepted and fixed ones as a person's, those without a verdict as they
    were generated. `dropped` are the others: nothing is to be asked about their sentences again.
    """

    questions: tuple[Question, ...] = ()
    dropped: tuple[Question, ...] = ()


def write_sheet(questions: Iterable[Question]) -> str:
    """The sheet of the generated questions among some, as CSV text with an empty verdict each.

    Unanswerable ones are not on it: they have no quote in the corpus at which they could be placed again.

    A cell that a spreadsheet would take for a formula gets an apostrophe before it, which reading takes off.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(SheetRow.model_fields)
    for question in questions:
        if question.reference_source == "person" or question.answerable is False:
            continue
        row = SheetRow(
            id=question.question_id,
            question=question.question,
            reference=question.reference,
            key_facts=question.key_facts,
            quote=question.quote,
            document=question.document,
            page=question.page,
            split=question.split,
            kind=question.kind,
            source=question.reference_source,
        )
        cells = row.model_dump(mode="json")
        facts = json.dumps(cells["key_facts"], ensure_ascii=False) if question.key_facts else ""
        writer.writerow([_guarded(str(cell)) for cell in {**cells, "key_facts": facts}.values()])
    return out.getvalue()


def has_verdicts(path: Path) -> bool:
    """Whether a sheet, if there is one, has a verdict already: then it is not to be written over.

    Raises:
        QuestionError: there is a file, and it is no sheet.
    """
    return path.exists() and any(row.verdict for row in _read(path))


def read_sheet(path: Path | None, documents: Sequence[Document], blocks: Iterable[Block]) -> Reviewed:
    """Read a sheet back and place its questions; nothing where none is named.

    Raises:
        QuestionError: no such file, lines that are wrong, or quotes that are not on their page; all together.
    """
    if path is None:
        return Reviewed()
    by_name = {document.name: document for document in documents}
    by_document: dict[str, list[Block]] = {}
    for block in blocks:
        by_document.setdefault(block.doc_id, []).append(block)
    kept: list[Question] = []
    dropped: list[Question] = []
    problems: list[str] = []
    for row in _read(path):
        question = place_row(_question_row(row), by_name.get(row.document), by_document)
        if isinstance(question, str):
            problems.append(f"{row.id}: {question}")
        elif row.verdict == "drop":
            dropped.append(question)
        else:
            source = "person" if row.verdict else row.source
            kept.append(dataclasses.replace(question, split=row.split, reference_source=source))
    _require_none(path, problems, "for each row a document of the corpus and its quote on the named page")
    return Reviewed(questions=tuple(kept), dropped=tuple(dropped))


def _question_row(row: SheetRow) -> QuestionRow:
    fixed_reference = row.fixed_reference.strip()
    return QuestionRow(
        id=row.id,
        question=row.fixed_question.strip() or row.question,
        reference=fixed_reference or row.reference,
        # Those of the reference that was wrong are of no use: the new one is the one fact.
        key_facts=() if fixed_reference else row.key_facts,
        document=row.document,
        page=row.page,
        quote=row.quote,
        type=row.kind,
    )


def _read(path: Path) -> list[SheetRow]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise QuestionError(
            "the reviewed questions cannot be read",
            seen=f"{path}: {error}",
            expected="the sheet of 'fourfold review', saved as CSV in UTF-8",
            hint="save it so, or correct questions.reviewed",
        ) from None
    found: list[SheetRow] = []
    problems: list[str] = []
    for number, cells in enumerate(rows, start=1):
        try:
            found.append(SheetRow.model_validate({name: _plain(cell) for name, cell in cells.items()}))
        except (ValidationError, ValueError) as error:
            first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
            where = ".".join(str(part) for part in first["loc"]) if first else "key_facts"
            problems.append(f"row {number}: {where + ': ' if where else ''}{first['msg'] if first else error}")
    names = [row.id for row in found]
    problems += [f"id {name!r} stands twice" for name in sorted({name for name in names if names.count(name) > 1})]
    _require_none(path, problems, "the columns of 'fourfold review', verdict accept, fix, drop or empty")
    return found


def _require_none(path: Path, problems: Sequence[str], expected: str) -> None:
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise QuestionError(
            f"{path.name}: {len(problems)} row(s) are wrong",
            seen="\n            ".join([*problems[:_SHOWN], *more]),
            expected=expected,
            hint="correct these rows",
        )


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.lstrip("'").startswith(_FORMULA) else cell


def _plain(cell: object) -> object:
    # An apostrophe before one that stood there already is ours too.
    return cell[1:] if isinstance(cell, str) and cell[:1] == "'" and cell.lstrip("'").startswith(_FORMULA) else cell
