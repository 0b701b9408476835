"""Rows of a public file, checked against the form it is published in; what is wrong is named by line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from fourfold.errors import InputError

_SHOWN = 5
_SPACE = " \t\r\n"


class PublicRow(BaseModel):
    """A row as published: strict, nothing beside its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Row = TypeVar("Row", bound=PublicRow)


def read_json_rows(path: Path, form: type[Row]) -> list[Row]:
    """Rows of a file that holds one JSON list of objects.

    Raises:
        InputError: it cannot be read, is not UTF-8, is no such list, holds no rows, or rows are of another form; these
            all together, each with the line it begins on.
    """
    text = _read_text(path)
    return _checked(path, form, _json_rows(path, text))


def read_tsv_rows(path: Path, form: type[Row]) -> list[Row]:
    """Rows of a file of tab-separated values under a heading; quotes are plain characters.

    Raises:
        InputError: as `read_json_rows`.
    """
    # Not splitlines: it also splits where a text holds one of Unicode's other line ends.
    lines = [line.removesuffix("\r") for line in _read_text(path).split("\n")]
    reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    # What has more cells than the heading would else be kept under no name, which no form knows how to name.
    rows = (
        (reader.line_num, {name if name is not None else "(no heading)": cell for name, cell in row.items()})
        for row in reader
    )
    return _checked(path, form, rows)


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            "a labelled set cannot be read",
            seen=f"{path}: {error.strerror}",
            expected="a file that can be read",
            hint="check the path",
        ) from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(
            "a labelled set has another encoding",
            seen=f"{path.name}, line {line}: byte {error.object[error.start]:#04x} is no UTF-8",
            expected="UTF-8, as the set is published",
            hint=f"download it anew, or convert it: iconv -f ITS-ENCODING -t UTF-8 {path.name}",
        ) from error


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, object]]:
    """Line and value of each element, so that a row can be named by its line."""
    decoder = json.JSONDecoder()
    at = _after_space(text, 0)
    if text[at : at + 1] != "[":
        raise _malformed(path, text, at, "a list does not begin here")
    at = _after_space(text, at + 1)
    if text[at : at + 1] == "]":
        return
    line, counted = 1, 0
    while True:
        try:
            value, end = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            place = error.pos if isinstance(error, json.JSONDecodeError) else at
            raise _malformed(path, text, place, str(error).partition(":")[0]) from error
        line, counted = line + text.count("\n", counted, at), at
        yield line, value
        at = _after_space(text, end)
        if text[at : at + 1] == "]":
            return
        if text[at : at + 1] != ",":
            raise _malformed(path, text, at, "neither a comma nor the list's end")
        at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at


def _malformed(path: Path, text: str, at: int, why: str) -> InputError:
    return InputError(
        "a labelled set is not the JSON it should be",
        seen=f"{path.name}, line {text.count(chr(10), 0, at) + 1}: {why}",
        expected="one list of objects, as the set is published",
        hint="download the file anew; it may be cut off",
    )


def _checked(path: Path, form: type[Row], rows: Iterator[tuple[int, object]]) -> list[Row]:
    kept: list[Row] = []
    problems: list[str] = []
    for line, row in rows:
        try:
            kept.append(form.model_validate(row))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            problems.append(f"line {line}: {where + ': ' if where else ''}{first['msg']}")
    if problems:
        raise InputError(
            f"{len(problems)} of {len(kept) + len(problems)} rows of a labelled set are malformed",
            seen=f"{path.name}, " + "; ".join(problems[:_SHOWN]) + ("; …" if len(problems) > _SHOWN else ""),
            expected=f"the fields {', '.join(form.model_fields)}, as the set is published",
            hint="correct or remove these rows, or download the file anew",
        )
    if not kept:
        raise InputError(
            "a labelled set has no rows",
            seen=path.name,
            expected="at least one row",
            hint="download the file anew; it may be cut off",
        )
    return kept
