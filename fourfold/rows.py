"""Records as rows: one table per record type, one column per field; tuples as JSON text."""

from __future__ import annotations

import dataclasses
import functools
import json
import sqlite3
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter

from fourfold import types

Record = TypeVar("Record")

TABLES: dict[type, str] = {
    types.Document: "documents",
    types.Block: "blocks",
    types.Chunk: "chunks",
    types.Question: "questions",
    types.LeakedPair: "leaked_pairs",
    types.Retrieved: "retrieved",
    types.Answer: "answers",
    types.Score: "scores",
    types.Latency: "latencies",
    types.Guideline: "guidelines",
    types.Judgement: "judgements",
    types.Preference: "preferences",
}


def create_statements() -> list[str]:
    """The CREATE TABLE statements of all record types."""
    return [
        f"CREATE TABLE {table} (result TEXT NOT NULL REFERENCES results (key), row INTEGER NOT NULL, "
        + ", ".join(f'"{field.name}"' for field in dataclasses.fields(record_type))
        + ", PRIMARY KEY (result, row)) WITHOUT ROWID"
        for record_type, table in TABLES.items()
    ]


def insert(db: sqlite3.Connection, key: str, records: Sequence[object]) -> None:
    """Insert records of any types; each type keeps its own order."""
    by_type: dict[type, list[object]] = {}
    for record in records:
        by_type.setdefault(type(record), []).append(record)
    for record_type, group in by_type.items():
        names = [field.name for field in dataclasses.fields(record_type)]
        nested = _nested_fields(record_type)
        marks = ", ".join("?" * (len(names) + 2))
        db.executemany(
            f"INSERT INTO {TABLES[record_type]} VALUES ({marks})",  # noqa: S608 (names are ours)
            (
                (key, row, *(_encode(getattr(record, name), name in nested) for name in names))
                for row, record in enumerate(group)
            ),
        )


def delete(db: sqlite3.Connection, key: str) -> None:
    """Remove every record under a result."""
    for table in TABLES.values():
        db.execute(f"DELETE FROM {table} WHERE result = ?", (key,))  # noqa: S608 (names are ours)


def select(db: sqlite3.Connection, record_type: type[Record], key: str) -> tuple[Record, ...]:
    """The records of one type under a result, in order."""
    names = list(typing.get_type_hints(record_type))
    columns = ", ".join(f'"{name}"' for name in names)
    found = db.execute(
        f"SELECT {columns} FROM {TABLES[record_type]} WHERE result = ? ORDER BY row",  # noqa: S608
        (key,),
    )
    hashable: type = record_type
    nested = _nested_fields(hashable)
    adapter = _adapter(hashable)
    return tuple(
        adapter.validate_python(
            {name: json.loads(value) if name in nested else value for name, value in zip(names, row, strict=True)}
        )
        for row in found
    )


@functools.cache
def _nested_fields(record_type: type) -> frozenset[str]:
    hints = typing.get_type_hints(record_type)
    return frozenset(
        name
        for name, hint in hints.items()
        if tuple in {typing.get_origin(part) for part in (hint, *typing.get_args(hint))}
    )


@functools.cache
def _adapter(record_type: type) -> TypeAdapter[Any]:
    return TypeAdapter(record_type)


def _encode(value: object, nested: bool) -> object:
    return json.dumps(value, ensure_ascii=False) if nested else value
