"""A question's way: rewrite → trigger per query → search → union with memory → filter → keep → contexts.

Source of the order: Shi et al. 2024 (ERM4, arXiv 2407.10670). Every part can be left out; with none the rows are those
of the search itself. All questions go through each part together, so that every model is called once for them all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fourfold.retrieval.fusion import fuse_ranks
from fourfold.retrieval.modules.knowledge import Knowledge
from fourfold.retrieval.modules.knowledge_filter import EntailmentJudge, Judgement, Pair
from fourfold.retrieval.modules.memory import Consulted, Memory
from fourfold.retrieval.modules.ports import Search
from fourfold.retrieval.modules.rewriter import Rewriter, Rewritten, unchanged
from fourfold.retrieval.modules.trace import RetrievalTrace
from fourfold.types import Retrieved


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The rows of all questions, each question's in rank order, and what happened to each (none without modules)."""

    retrieved: tuple[Retrieved, ...]
    traces: tuple[RetrievalTrace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalPath:
    """The parts that are switched on.

    Args:
        search: the index.
        knowledge: every chunk as memory holds it, by id.
        k: chunks shown.
        n_judged: chunks that the filter is given for each question, at least k.
        rrf_constant: of the fusion over a question's queries and memory.
        rewriter: None leaves a question its own only query.
        memory: None searches every query.
        judge: the knowledge filter; None drops nothing.
    """

    search: Search
    knowledge: Mapping[str, Knowledge]
    k: int
    n_judged: int
    rrf_constant: int
    rewriter: Rewriter | None = None
    memory: Memory | None = None
    judge: EntailmentJudge | None = None

    def find(self, questions: Sequence[tuple[str, str]], *, fill_at: dt.datetime | None = None) -> Found:
        """The chunks of each (question id, question).

        Args:
            questions: taken together; memory is read before any of them is written back.
            fill_at: write what is shown back to memory under this date; None: memory is only read.
        """
        if self.rewriter is None and self.memory is None and self.judge is None:
            return Found(retrieved=tuple(self.search(questions, self.k)), traces=())
        new = self.rewrite([text for _, text in questions])
        ways = [
            _Way(question_id=question_id, rewritten=one) for (question_id, _), one in zip(questions, new, strict=True)
        ]
        self._gather(ways)
        self._judge(ways)
        if fill_at is not None and self.memory is not None:
            shown = dict.fromkeys(row.chunk_id for way in ways for row in way.shown(self.k))
            self.memory.keep([self.knowledge[chunk_id] for chunk_id in shown], now=fill_at)
        return Found(
            retrieved=tuple(row for way in ways for row in way.shown(self.k)),
            traces=tuple(way.trace() for way in ways),
        )

    def rewrite(self, questions: Sequence[str]) -> list[Rewritten]:
        """The questions' queries; without a rewriter each is its own."""
        if self.rewriter is None:
            return [unchanged(question) for question in questions]
        return self.rewriter.rewrite(questions)

    def _gather(self, ways: Sequence[_Way]) -> None:
        """Ask memory and the index for every query of every question, and unite what they give."""
        queries = [query for way in ways for query in way.rewritten.queries]
        if self.memory is None:
            consulted = [Consulted(items=(), search=True) for _ in queries]
        else:
            consulted = self.memory.consult(queries)
        wanted = [(str(at), query) for at, query in enumerate(queries) if consulted[at].search]
        rows: dict[str, list[Retrieved]] = {number: [] for number, _ in wanted}
        for row in self.search(wanted, self.n_judged) if wanted else ():
            rows[row.question_id].append(row)
        numbers = iter(range(len(queries)))
        for way in ways:
            own = [next(numbers) for _ in way.rewritten.queries]
            found = {queries[at]: rows[str(at)] for at in own if consulted[at].search}
            way.unite(found, [consulted[at] for at in own], constant=self.rrf_constant, limit=self.n_judged)

    def _judge(self, ways: Sequence[_Way]) -> None:
        if self.judge is None:
            return
        pairs = [
            Pair(premise=self.knowledge[row.chunk_id].text, hypothesis=way.rewritten.question)
            for way in ways
            for row in way.united
        ]
        judgements = iter(self.judge.judge(pairs))
        for way in ways:
            way.judged = [next(judgements) for _ in way.united]


@dataclass(slots=True, kw_only=True)
class _Way:
    """One question on its way."""

    question_id: str
    rewritten: Rewritten
    united: list[Retrieved] = field(default_factory=list)
    judged: list[Judgement] = field(default_factory=list)
    searched: tuple[str, ...] = ()
    n_outside: int = 0
    remembered: tuple[str, ...] = ()

    def unite(
        self, found: Mapping[str, Sequence[Retrieved]], consulted: Sequence[Consulted], *, constant: int, limit: int
    ) -> None:
        self.searched = tuple(found)
        self.n_outside = sum(len(rows) for rows in found.values())
        memories = [[item.chunk_id for item in one.items] for one in consulted if one.items]
        self.remembered = tuple(dict.fromkeys(chunk_id for ids in memories for chunk_id in ids))
        rankings = [[row.chunk_id for row in rows] for rows in found.values()]
        if len(rankings) == 1 and not memories:
            # Nothing to unite: the rows keep the search's own scores.
            (rows,) = found.values()
            self.united = [replace(row, question_id=self.question_id) for row in rows[:limit]]
            return
        first = {row.chunk_id: row for rows in reversed(list(found.values())) for row in rows}
        self.united = [
            Retrieved(
                question_id=self.question_id,
                rank=rank,
                chunk_id=chunk_id,
                score=score,
                dense_rank=first[chunk_id].dense_rank if chunk_id in first else None,
                bm25_rank=first[chunk_id].bm25_rank if chunk_id in first else None,
            )
            for rank, (chunk_id, score) in enumerate(fuse_ranks([*rankings, *memories], constant=constant), start=1)
        ][:limit]

    def shown(self, k: int) -> list[Retrieved]:
        """The first k rows that the filter kept; one that it could not judge is kept."""
        dropped = set(self._dropped())
        kept = [row for row in self.united if row.chunk_id not in dropped][:k]
        return [replace(row, rank=rank) for rank, row in enumerate(kept, start=1)]

    def trace(self) -> RetrievalTrace:
        failed = [
            f"filter: {row.chunk_id}: {one.failure}"
            for row, one in zip(self.united, self.judged, strict=False)
            if one.failure is not None
        ]
        own = [f"rewriter: {self.rewritten.failure}"] if self.rewritten.failure is not None else []
        return RetrievalTrace(
            question_id=self.question_id,
            question=self.rewritten.question,
            queries=self.rewritten.queries,
            searched=self.searched,
            n_outside=self.n_outside,
            remembered=self.remembered,
            dropped=self._dropped(),
            failures=(*own, *failed),
            n_tokens=self.rewritten.n_tokens + sum(one.n_tokens for one in self.judged),
        )

    def _dropped(self) -> tuple[str, ...]:
        judged = zip(self.united, self.judged, strict=False)
        return tuple(row.chunk_id for row, one in judged if one.entailed is False)
