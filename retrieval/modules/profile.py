"""A user's profile: short facts about them, which the reader is given and the user can list and delete.

Source: Shi et al. 2024 (ERAGent, arXiv 2405.06683), Personalized LLM Reader. Off unless somebody makes one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from fourfold.retrieval.modules.memory_file import MemoryFile, next_use

# Facts of a user, at most: about a prompt's worth of short lines. Beyond them the oldest statements go.
CAPACITY = 40


class Profile:
    """One user's facts in a memory file.

    Args:
        file: an open file, which others use too.
        owner: the user.
    """

    def __init__(self, file: MemoryFile, *, owner: str) -> None:
        self.file = file
        self.owner = owner

    def add(self, facts: Sequence[str], *, now: dt.datetime) -> None:
        """Note facts; one that is known already counts as stated anew."""
        with self.file.writing() as db:
            tick, date = next_use(db), now.isoformat(timespec="seconds")
            db.executemany(
                "INSERT OR REPLACE INTO profiles VALUES (?, ?, ?, ?)",
                [(self.owner, fact, date, tick) for fact in facts],
            )
            db.execute(
                "DELETE FROM profiles WHERE owner = ?1 AND fact IN (SELECT fact FROM profiles WHERE owner = ?1 "
                "ORDER BY used DESC, fact LIMIT -1 OFFSET ?2)",
                (self.owner, CAPACITY),
            )

    def facts(self) -> tuple[str, ...]:
        """Every fact, the first stated first."""
        rows = self.file.db.execute("SELECT fact FROM profiles WHERE owner = ? ORDER BY used, fact", (self.owner,))
        return tuple(fact for (fact,) in rows)

    def delete(self, fact: str | None = None) -> int:
        """Remove a fact, or all of them; how many that were."""
        with self.file.writing() as db:
            if fact is None:
                return db.execute("DELETE FROM profiles WHERE owner = ?", (self.owner,)).rowcount
            return db.execute("DELETE FROM profiles WHERE owner = ? AND fact = ?", (self.owner, fact)).rowcount


def with_profile(instructions: str, facts: Sequence[str]) -> str:
    """The reader's instructions for a user; unchanged where nothing is known."""
    if not facts:
        return instructions
    return f"{instructions}\nWhat is known about the user:\n" + "\n".join(f"- {fact}" for fact in facts)
