"""A search within a part of the corpus that the query itself chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from fourfold.retrieval.modules.ports import Search
from fourfold.types import Retrieved


class Narrow(Protocol):
    """Chooses the chunks among which a query is searched."""

    def __call__(self, queries: Sequence[str]) -> Sequence[frozenset[str] | None]:
        """For each query the ids of chunks; None: all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrowedSearch:
    """A search that ranks the whole corpus and keeps what is within the chosen part: exact, and as slow as that sounds.

    Ranks and scores are those of the whole corpus, the ranks closed up. A part with fewer chunks than the limit gives
    all of its own.

    Args:
        search: of the whole corpus.
        narrow: chooses the part.
        n_chunks: in the corpus.
    """

    search: Search
    narrow: Narrow
    n_chunks: int

    def __call__(self, queries: Sequence[tuple[str, str]], limit: int) -> list[Retrieved]:
        """The `limit` best chunks of each (id, query), rows of one query in rank order."""
        parts = self.narrow([text for _, text in queries])
        whole = [query for query, part in zip(queries, parts, strict=True) if part is None]
        within = {query[0]: part for query, part in zip(queries, parts, strict=True) if part is not None}
        rows: dict[str, list[Retrieved]] = {name: [] for name, _ in queries}
        for row in self.search(whole, limit) if whole else ():
            rows[row.question_id].append(row)
        narrowed = [query for query in queries if query[0] in within]
        for row in self.search(narrowed, self.n_chunks) if narrowed else ():
            own = rows[row.question_id]
            if row.chunk_id in within[row.question_id] and len(own) < limit:
                own.append(replace(row, rank=len(own) + 1))
        return [row for name, _ in queries for row in rows[name]]
