"""Memory Knowledge Reservoir: titles with the knowledge that earlier questions left, kept in a file.

Source: Shi et al. 2024 (ERM4, arXiv 2407.10670), module Memory Knowledge Reservoir. We differ in what a server needs:
owners, a bounded size, sources that change, a file that several processes share.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Collection, Mapping, Sequence

from fourfold.errors import InputError
from fourfold.retrieval.modules.knowledge import SHARED, Knowledge
from fourfold.retrieval.modules.memory_file import MemoryFile, next_use

_COLUMNS = "title, text, chunk_id, doc_id, source, date"


class Reservoir:
    """One owner's knowledge in a file.

    Beyond `capacity` passages those go that were used least recently; being added is a use, and so is being read.

    Args:
        file: an open file, which other owners and other processes use too.
        owner: a user, or `SHARED`.
        capacity: passages, at least 1.

    Raises:
        InputError: a capacity under 1, or no owner.
    """

    def __init__(self, file: MemoryFile, *, owner: str = SHARED, capacity: int = 10_000) -> None:
        if capacity < 1 or not owner:
            raise InputError(
                "the memory has no place for knowledge",
                seen=f"capacity {capacity}, owner {owner!r}",
                expected="a capacity of at least 1, and an owner",
                hint=f"raise retrieval.memory.capacity, or use the owner {SHARED!r}",
            )
        self.file = file
        self.owner = owner
        self.capacity = capacity

    def add(self, items: Sequence[Knowledge], *, now: dt.datetime) -> int:
        """Put passages in, each under its latest title and text, and evict what is too much.

        Returns:
            How many passages were evicted.
        """
        with self.file.writing() as db:
            tick = next_use(db)
            db.executemany(
                "INSERT OR REPLACE INTO knowledge VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (self.owner, item.chunk_id, item.title, item.text, item.doc_id, item.source,
                     now.isoformat(timespec="seconds"), tick)
                    for item in items
                ],
            )  # fmt: skip
            return _evict(db, self.owner, self.capacity)

    def titles(self) -> tuple[str, ...]:
        """Every title once, in alphabetical order."""
        rows = self.file.db.execute(
            "SELECT DISTINCT title FROM knowledge WHERE owner = ? ORDER BY title", (self.owner,)
        )
        return tuple(title for (title,) in rows)

    def read(self, titles: Collection[str]) -> dict[str, tuple[Knowledge, ...]]:
        """The knowledge under some titles, which counts as a use unless the file is frozen."""
        found: dict[str, tuple[Knowledge, ...]] = {}
        for title in titles:
            rows = self.file.db.execute(
                f"SELECT {_COLUMNS} FROM knowledge WHERE owner = ? AND title = ? ORDER BY chunk_id",  # noqa: S608
                (self.owner, title),
            )
            if own := tuple(_knowledge(row) for row in rows):
                found[title] = own
        if found and self.file.frozen is None:
            with self.file.writing() as db:
                tick = next_use(db)
                db.executemany(
                    "UPDATE knowledge SET used = ? WHERE owner = ? AND title = ?",
                    [(tick, self.owner, title) for title in found],
                )
        return found

    def items(self) -> tuple[Knowledge, ...]:
        """Everything, by title and passage; no use."""
        rows = self.file.db.execute(
            f"SELECT {_COLUMNS} FROM knowledge WHERE owner = ? ORDER BY title, chunk_id",  # noqa: S608
            (self.owner,),
        )
        return tuple(_knowledge(row) for row in rows)

    def delete(self, *, title: str | None = None) -> int:
        """Remove what stands under a title, or everything; how many passages that were."""
        with self.file.writing() as db:
            condition, values = ("", ()) if title is None else (" AND title = ?", (title,))
            return db.execute(
                f"DELETE FROM knowledge WHERE owner = ?{condition}",  # noqa: S608 (conditions are ours)
                (self.owner, *values),
            ).rowcount

    def invalidate(self, chunks: Mapping[str, Collection[str]]) -> int:
        """Remove passages whose source changed: chunks of documents that are gone, and chunks a document lost.

        Args:
            chunks: per document id, the ids of its chunks as they are now.

        Returns:
            How many passages were removed.
        """
        with self.file.writing() as db:
            rows = db.execute("SELECT chunk_id, doc_id FROM knowledge WHERE owner = ?", (self.owner,)).fetchall()
            stale = [chunk_id for chunk_id, doc_id in rows if chunk_id not in chunks.get(doc_id, ())]
            db.executemany(
                "DELETE FROM knowledge WHERE owner = ? AND chunk_id = ?",
                [(self.owner, chunk_id) for chunk_id in stale],
            )
        return len(stale)


def _evict(db: sqlite3.Connection, owner: str, capacity: int) -> int:
    return db.execute(
        "DELETE FROM knowledge WHERE owner = ?1 AND chunk_id IN (SELECT chunk_id FROM knowledge WHERE owner = ?1 "
        "ORDER BY used DESC, chunk_id LIMIT -1 OFFSET ?2)",
        (owner, capacity),
    ).rowcount


def _knowledge(row: Sequence[str]) -> Knowledge:
    title, text, chunk_id, doc_id, source, date = row
    return Knowledge(title=title, text=text, chunk_id=chunk_id, doc_id=doc_id, source=source, date=date)
