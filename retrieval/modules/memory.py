"""Memory on a question's way: the reservoir's titles as vectors, and the trigger that reads them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fourfold.embed.port import Vectors
from fourfold.retrieval.modules.knowledge import Knowledge
from fourfold.retrieval.modules.ports import Embed
from fourfold.retrieval.modules.reservoir import Reservoir
from fourfold.retrieval.modules.trigger import Trigger, decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Consulted:
    """What memory gives for one query, most alike first, and whether the index is asked too."""

    items: tuple[Knowledge, ...]
    search: bool


class Memory:
    """A reservoir with its trigger.

    Args:
        reservoir: what is read, and written by `keep`.
        trigger: the rule.
        embed_queries: embeds queries.
        embed_titles: embeds titles; each once, as long as this object lives.
    """

    def __init__(self, reservoir: Reservoir, trigger: Trigger, *, embed_queries: Embed, embed_titles: Embed) -> None:
        self.reservoir = reservoir
        self._trigger = trigger
        self._embed_queries = embed_queries
        self._embed_titles = embed_titles
        self._vectors: dict[str, Vectors] = {}
        self._stacked: tuple[tuple[str, ...], Vectors] | None = None

    def consult(self, queries: Sequence[str]) -> list[Consulted]:
        """What memory gives for each query; an empty memory gives nothing and searches."""
        titles = self.reservoir.titles() if self._trigger.mode != "pass" else ()
        if not titles or not queries:
            return [Consulted(items=(), search=True) for _ in queries]
        cosines = self._embed_queries(queries) @ self._matrix(titles).T
        decisions = [decide(row, self._trigger) for row in cosines]
        held = self.reservoir.read({titles[place] for decision in decisions for place in decision.alike})
        return [
            Consulted(
                items=tuple(item for place in decision.alike for item in held.get(titles[place], ())),
                search=decision.search,
            )
            for decision in decisions
        ]

    def keep(self, items: Sequence[Knowledge], *, now: dt.datetime) -> None:
        """Write kept knowledge back."""
        self.reservoir.add(items, now=now)

    def cosines(self, queries: Sequence[str]) -> tuple[tuple[str, ...], Vectors]:
        """Every title, and the cosine of each query with it, [Q, T]: what the trigger is calibrated on."""
        titles = self.reservoir.titles()
        return titles, self._embed_queries(queries) @ self._matrix(titles).T

    def _matrix(self, titles: tuple[str, ...]) -> Vectors:
        """Vectors of the titles, [T, D]; stacked once for as long as the titles stay the same."""
        if not titles:
            return self._embed_titles(())
        if self._stacked is None or self._stacked[0] != titles:
            if new := [title for title in titles if title not in self._vectors]:
                self._vectors |= zip(new, self._embed_titles(new), strict=True)
            self._stacked = titles, np.stack([self._vectors[title] for title in titles])
        return self._stacked[1]
