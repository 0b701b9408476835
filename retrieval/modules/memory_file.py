"""The file behind memory: owners' knowledge and profiles in one SQLite file, which several processes write.

Its tables: `meta` (version of the file, the clock of uses, the digest under which it was frozen), `knowledge` (a row
for each owner and passage) and `profiles` (a row for each owner and fact).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from fourfold.digest import digest_of
from fourfold.errors import FairnessError, StoreError

VERSION = 1
_BUSY_SECONDS = 30.0
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE knowledge (
    owner TEXT NOT NULL, chunk_id TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, doc_id TEXT NOT NULL,
    source TEXT NOT NULL, date TEXT NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (owner, chunk_id)
) WITHOUT ROWID;
CREATE INDEX by_title ON knowledge (owner, title);
CREATE INDEX by_use ON knowledge (owner, used);
CREATE TABLE profiles (
    owner TEXT NOT NULL, fact TEXT NOT NULL, date TEXT NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (owner, fact)
) WITHOUT ROWID;
INSERT INTO meta VALUES ('clock', '0');
"""


def _write_ahead(db: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; where another process is at it, SQLite says so at once instead of waiting."""
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


class MemoryFile:
    """An open file. Open it with `MemoryFile.open`; close it or use it as a context manager."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self.db = db

    @classmethod
    def open(cls, path: Path) -> MemoryFile:
        """Open a file, made new where there is none.

        Raises:
            StoreError: the file is of a newer fourfold, is no memory, or cannot be opened.
        """
        db = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            # Looked at before anything is written: a file that is not ours stays as it is.
            if _tables(db):
                _require_version(db, path)
            else:
                _write_ahead(db)
                _create(db, path)
        except (OSError, sqlite3.Error, StoreError) as error:
            if db is not None:
                db.close()
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                "the memory cannot be opened",
                seen=f"{path}: {error}",
                expected="a file that can be written and holds a fourfold memory or nothing",
                hint="name another file, or mend this one",
            ) from error
        return cls(path, db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @property
    def frozen(self) -> str | None:
        """The digest under which the file was frozen; None where it may still change."""
        row = self.db.execute("SELECT value FROM meta WHERE key = 'frozen'").fetchone()
        return None if row is None else str(row[0])

    def digest(self) -> str:
        """SHA-256 of every owner's knowledge and profile; dates and uses are no part of it."""
        knowledge = self.db.execute(
            "SELECT owner, title, text, chunk_id, doc_id, source FROM knowledge ORDER BY owner, chunk_id"
        ).fetchall()
        profiles = self.db.execute("SELECT owner, fact FROM profiles ORDER BY owner, fact").fetchall()
        return digest_of([knowledge, profiles])

    def freeze(self) -> str:
        """Take no change from now on (fairness rule 5), and leave one file that can be copied.

        Returns:
            The digest of the content.
        """
        with self.writing() as db:
            digest = self.digest()
            db.execute("INSERT INTO meta VALUES ('frozen', ?)", (digest,))
        # The write-ahead log would be files of its own beside this one.
        self.db.execute("PRAGMA journal_mode = DELETE")
        return digest

    def require_frozen(self, digest: str) -> None:
        """Refuse a memory that is not the one frozen before the test.

        Raises:
            FairnessError: its content, or the digest it was frozen under, is another.
        """
        seen = {"frozen under": self.frozen, "content": self.digest()}
        if set(seen.values()) != {digest}:
            raise FairnessError(
                "the memory is not the one that was frozen before the test",
                seen=f"{self.path}: " + ", ".join(f"{name} {str(value)[:16]}" for name, value in seen.items()),
                expected=f"{digest[:16]} for both",
                hint="remove its folder from the blobs and run the study again: it is filled anew",
            )

    def _require_open(self) -> None:
        if (digest := self.frozen) is not None:
            raise StoreError(
                "the memory is frozen",
                seen=f"{self.path}: frozen under {digest[:16]}",
                expected="a memory that may change",
                hint="serve from a memory of its own: a study's is kept as it was before the test",
            )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing.

        Raises:
            StoreError: the file is frozen, the disk is full, or another process writes it for long.
        """
        try:
            self.db.execute("BEGIN IMMEDIATE")
            self._require_open()
            yield self.db
            self.db.execute("COMMIT")
        except BaseException as error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise StoreError(
                    "the memory cannot be written",
                    seen=f"{self.path}: {error}",
                    expected=f"free space, and no other process that writes it for {_BUSY_SECONDS:.0f} s",
                    hint="free some space or end the other process, then try again: what was kept is kept",
                ) from error
            raise


def _create(db: sqlite3.Connection, path: Path) -> None:
    db.execute("BEGIN IMMEDIATE")
    # Asked again under the lock: another process may have made the tables meanwhile.
    if _tables(db):
        db.execute("ROLLBACK")
        _require_version(db, path)
        return
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    db.execute("INSERT INTO meta VALUES ('version', ?)", (str(VERSION),))
    db.execute("COMMIT")


def _require_version(db: sqlite3.Connection, path: Path) -> None:
    row = None
    if {"meta", "knowledge"} <= _tables(db):
        row = db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    if row != (str(VERSION),):
        raise StoreError(
            "the memory is of another version",
            seen=f"{path}: version {row[0] if row else 'unknown'}",
            expected=f"version {VERSION}, the one this fourfold writes",
            hint="use the fourfold that wrote it, or name another file; nothing was changed",
        )


def _tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def next_use(db: sqlite3.Connection) -> int:
    """The next moment of use: a count, since clocks of machines and of summer jump."""
    db.execute("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'clock'")
    ((tick,),) = db.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'clock'")
    return int(tick)
