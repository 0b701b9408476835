"""A file of questions → raw rows with their place in it, by the file's ending: JSON lines, CSV, SQuAD JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fourfold.errors import QuestionError

# Fields of several parts: in a CSV cell parts are divided by ";", and a key fact's wordings by "|".
_LISTS = frozenset({"tags", "subsets"})
_SENTENCE_END = re.compile(r"[.!?][\"”’)]?\s+|\n\s*\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRow:
    """One question as the file has it: JSON text, or fields by name; `place` says where, for messages."""

    place: str
    fields: str | Mapping[str, object]


def read_raw(path: Path) -> list[RawRow]:
    """The rows of a question file: .csv and .json (SQuAD) by their endings, else JSON lines.

    Raises:
        QuestionError: the file cannot be read, or is no CSV or SQuAD JSON where its ending says so.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # Windows editors put a byte order mark first
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionError(
            "the test questions cannot be read",
            seen=error,
            expected="a UTF-8 JSONL, CSV or SQuAD JSON file",
            hint="set questions.file",
        ) from None
    ending = path.suffix.lower()
    return {".csv": _csv, ".json": _squad}.get(ending, _json_lines)(path, text)


def _json_lines(_: Path, text: str) -> list[RawRow]:
    lines = (
        text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    )  # splitlines also cuts at U+2028, which JSON allows
    return [RawRow(place=f"line {at}", fields=line) for at, line in enumerate(lines, start=1) if line.strip()]


def _csv(path: Path, text: str) -> list[RawRow]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise _wrong(path, f"no CSV: {error}", "a CSV file with a heading") from None
    names = reader.fieldnames or []
    if len(set(names)) != len(names):
        raise _wrong(path, f"the heading {', '.join(names)}", "every column once")
    return [
        RawRow(place=f"line {line}", fields=_fields(row)) for line, row in rows if any(cell for cell in row.values())
    ]


def _fields(row: Mapping[str | None, object]) -> dict[str, object]:
    """The cells that hold something; surplus cells stand under a name that no row knows, and are refused by it."""
    fields: dict[str, object] = {}
    for name, cell in row.items():
        if name is None:
            fields["(more cells than the heading)"] = cell
        elif isinstance(cell, str) and cell.strip():
            fields[name] = _value(name, cell)
    return fields


def _value(name: str, cell: str) -> object:
    if name == "key_facts":
        return tuple(tuple(part.strip() for part in fact.split("|")) for fact in cell.split(";") if fact.strip())
    return tuple(part.strip() for part in cell.split(";") if part.strip()) if name in _LISTS else cell


class _Part(BaseModel):
    # SQuAD files carry further keys (plausible_answers), none of which changes a question.
    model_config = ConfigDict(extra="ignore", frozen=True)


class _SquadAnswer(_Part):
    text: str = Field(min_length=1)
    answer_start: int = Field(ge=0)


class _SquadItem(_Part):
    id: str
    question: str
    answers: tuple[_SquadAnswer, ...] = ()
    is_impossible: bool = False


class _SquadParagraph(_Part):
    context: str
    qas: tuple[_SquadItem, ...]


class _SquadArticle(_Part):
    title: str
    paragraphs: tuple[_SquadParagraph, ...]


class _SquadFile(_Part):
    data: tuple[_SquadArticle, ...]


def _squad(path: Path, text: str) -> list[RawRow]:
    """SQuAD 1.1 or 2.0: an article's title names the PDF, the answer's sentence in the paragraph is the quote."""
    try:
        file = _SquadFile.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _wrong(path, f"{where + ': ' if where else ''}{first['msg']}", "SQuAD JSON, version 1.1 or 2.0") from None
    items = [(a.title, p.context, item) for a in file.data for p in a.paragraphs for item in p.qas]
    odd = [item.id for _, context, item in items if not _has_answer(item, context)]
    if odd:
        raise _wrong(
            path,
            f"without an answer at its place in the paragraph: {', '.join(odd[:10])}",
            "per question at least one answer, which stands at answer_start; none that is impossible",
        )
    return [
        RawRow(place=f"question {item.id}", fields=_squad_row(title, context, item)) for title, context, item in items
    ]


def _has_answer(item: _SquadItem, context: str) -> bool:
    at_its_place = all(context.startswith(answer.text, answer.answer_start) for answer in item.answers)
    return bool(item.answers) and not item.is_impossible and at_its_place


def _squad_row(title: str, context: str, item: _SquadItem) -> dict[str, object]:
    first = item.answers[0]
    return {
        "id": item.id,
        "question": item.question,
        "reference": first.text,
        "key_facts": (tuple(dict.fromkeys(answer.text for answer in item.answers)),),
        "document": title if title.lower().endswith(".pdf") else f"{title}.pdf",
        "quote": _sentence(context, first.answer_start, first.answer_start + len(first.text)),
    }


def _sentence(text: str, start: int, end: int) -> str:
    """The sentences of a text that `[start, end)` touches."""
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    first = max(cut for cut in cuts if cut <= start)
    last = min((cut for cut in cuts if cut >= end), default=len(text))
    return text[first:last].strip()


def _wrong(path: Path, seen: str, expected: str) -> QuestionError:
    return QuestionError(f"{path.name} cannot be used", seen=seen, expected=expected, hint="correct the file")
