"""The store: every stage's rows in one SQLite file per working folder, addressed by content.

    runs/store.db     results (one row per finished stage), one table per record type, generations, runs
    runs/blobs/       adapters and indexes, one folder per result
    runs/<study>/     the resolved study and its reports

A result is written in one transaction with its rows, so that a killed run leaves whole results only.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from fourfold import rows
from fourfold.digest import digest_of
from fourfold.errors import StoreError

Record = TypeVar("Record")

SCHEMA_VERSION = 4
_BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE results (
    key TEXT PRIMARY KEY, stage TEXT NOT NULL, settings TEXT NOT NULL, inputs TEXT NOT NULL, digest TEXT NOT NULL,
    summary TEXT NOT NULL, provenance TEXT NOT NULL, seconds REAL NOT NULL, created_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE runs (
    run INTEGER PRIMARY KEY, study TEXT NOT NULL, settings TEXT NOT NULL, results TEXT NOT NULL,
    finished_at TEXT NOT NULL
);
CREATE TABLE frozen (scope TEXT PRIMARY KEY, rule TEXT NOT NULL, created_at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE batches (
    plan TEXT NOT NULL, batch INTEGER NOT NULL, requests TEXT NOT NULL, done INTEGER NOT NULL,
    PRIMARY KEY (plan, batch)
) WITHOUT ROWID;
CREATE TABLE generations (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, token_ids TEXT NOT NULL, n_prompt_tokens INTEGER NOT NULL,
    n_answer_tokens INTEGER NOT NULL, mean_logprob REAL, finish_reason TEXT NOT NULL, seconds REAL NOT NULL,
    provenance TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE embedders (digest TEXT PRIMARY KEY, identity TEXT NOT NULL, dimension INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE vectors (key TEXT PRIMARY KEY, embedder TEXT NOT NULL, vector BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One finished stage.

    `key` addresses it (stage, settings, inputs); `digest` is of its rows and summary's `content`, and is what the
    stages that read it depend on. `seconds` is wall time; `provenance` says what made it.
    """

    key: str
    stage: str
    digest: str
    summary: Mapping[str, Any]
    provenance: Mapping[str, Any]
    seconds: float
    created_at: str


class Store:
    """The store of one working folder. Open it with `Store.open`; close it or use it as a context manager."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.connection = connection

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Open a working folder's store, made new where there is none.

        Raises:
            StoreError: the folder cannot be written, or holds a store of another version.
        """
        path = folder / "store.db"
        connection = None
        try:
            (folder / "blobs").mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            # Looked at before anything is written: a file that is not ours stays as it is.
            if _tables(connection):
                _require_version(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            store = cls(folder, connection)
            store._create(path)
        except (OSError, sqlite3.Error, StoreError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                "the results folder cannot be opened",
                seen=f"{folder}: {error}",
                expected="a folder that can be written and holds a fourfold store or nothing",
                hint="name another folder with --runs, or mend this one",
            ) from error
        return store

    def _create(self, path: Path) -> None:
        with self.transaction() as db:
            # Asked again under the lock: another process may have made the tables meanwhile.
            if _tables(db):
                _require_version(db, path)
                return
            for statement in [*_SCHEMA.split(";"), *rows.create_statements()]:
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES ('schema_version', ?)", (str(SCHEMA_VERSION),))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing.

        Raises:
            StoreError: the disk is full or fails, the file cannot be written, or another process holds it for long.
        """
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                _raise_as_ours(self.folder, error)
            raise

    def blob_folder(self, stage: str, key: str) -> Path:
        """Where a result's files stand."""
        return self.folder / "blobs" / f"{stage}-{key[:16]}"

    def find(self, key: str) -> Result | None:
        """The finished result of that key."""
        row = self.connection.execute(
            "SELECT key, stage, digest, summary, provenance, seconds, created_at FROM results WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        key, stage, digest, summary, provenance, seconds, created_at = row
        return Result(
            key=key,
            stage=stage,
            digest=digest,
            summary=json.loads(summary),
            provenance=json.loads(provenance),
            seconds=seconds,
            created_at=created_at,
        )

    def put(self, draft: Draft, records: Sequence[object]) -> Result:
        """Store a finished stage with its rows, in one transaction.

        A result already there stays as it is, unless it is of other rows (its files were lost, and another machine
        made them again): then it is replaced, and what read it is carried out anew.
        """
        digest = digest_of([draft.stage, *records, draft.content])
        with self.transaction() as db:
            if db.execute("DELETE FROM results WHERE key = ? AND digest != ?", (draft.key, digest)).rowcount:
                rows.delete(db, draft.key)
            cursor = db.execute(
                "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    draft.key,
                    draft.stage,
                    _json(draft.settings),
                    _json(draft.inputs),
                    digest,
                    _json({**draft.summary, "content": draft.content}),
                    _json(draft.provenance),
                    draft.seconds,
                    _now(),
                ),
            )
            if cursor.rowcount:
                rows.insert(db, draft.key, records)
        result = self.find(draft.key)
        assert result is not None
        return result

    def read(self, record_type: type[Record], key: str) -> tuple[Record, ...]:
        """The rows of one type that a result holds, in the order in which they were stored."""
        return rows.select(self.connection, record_type, key)

    def freeze(self, scope: str, rule: Mapping[str, Any]) -> Mapping[str, Any]:
        """Store a decision rule for a scope unless one is there; return the one that holds."""
        with self.transaction() as db:
            db.execute("INSERT OR IGNORE INTO frozen VALUES (?, ?, ?)", (scope, _json(rule), _now()))
            (text,) = db.execute("SELECT rule FROM frozen WHERE scope = ?", (scope,)).fetchone()
        held: Mapping[str, Any] = json.loads(text)
        return held

    def record_run(self, study: str, settings: Mapping[str, Any], results: Mapping[str, str]) -> None:
        """Note that a study was carried out with these stage results, unless its newest note says so already."""
        with self.transaction() as db:
            newest = db.execute(
                "SELECT settings, results FROM runs WHERE study = ? ORDER BY run DESC LIMIT 1", (study,)
            ).fetchone()
            if newest == (_json(settings), _json(results)):
                return
            db.execute(
                "INSERT INTO runs (study, settings, results, finished_at) VALUES (?, ?, ?, ?)",
                (study, _json(settings), _json(results), _now()),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A finished stage before it is stored.

    `content` is what, beside the rows, the stages that read this one depend on (such as an adapter's digest);
    `summary` is for people and may hold times.
    """

    key: str
    stage: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    content: Mapping[str, Any]
    summary: Mapping[str, Any]
    provenance: Mapping[str, Any]
    seconds: float


def no_space(folder: Path, seen: str) -> StoreError:
    """The error for a full disk."""
    return StoreError(
        "no space left for the results",
        seen=f"{folder}: {seen}",
        expected="free space on that disk",
        hint="free some and run the same command again: what is finished is kept",
    )


def _raise_as_ours(folder: Path, error: sqlite3.OperationalError) -> None:
    """Raise a StoreError for what the machine does; a fault of our own statements is left to its traceback."""
    # The low byte is the primary code; python leaves it out where it raises the error itself.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        raise no_space(folder, str(error)) from error
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
        raise StoreError(
            "the results cannot be written",
            seen=f"{folder / 'store.db'}: {error}",
            expected="a file that can be written, and no other run that writes it for long",
            hint="end the other run or mend the folder, then run the same command again: what is finished is kept",
        ) from error


def _tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _require_version(db: sqlite3.Connection, path: Path) -> None:
    found = None
    if {"meta", "results"} <= _tables(db):
        found = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if found != (str(SCHEMA_VERSION),):
        raise StoreError(
            "the results folder is of another version",
            seen=f"{path}: version {found[0] if found else 'unknown'}",
            expected=f"version {SCHEMA_VERSION}, the one this fourfold writes",
            hint="name a new folder with --runs, or use the fourfold that wrote this one; nothing was changed",
        )


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
