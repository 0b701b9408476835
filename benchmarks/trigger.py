"""Retriever Trigger and memory: what they save and what that costs, on questions that repeat and on others.

    python benchmarks/trigger.py DATA [--taus 1.0 0.8 0.6 0.4] [--thetas 1 3] [--k 5] [--limit N] [--orders 0]

DATA is the folder of real inputs (its qa/ is read). Two streams: AgXQA, where the first question of each paragraph
fills memory and the later ones ask it; and, as the control, that memory asked by NQ questions, whose passages are in
the index and which memory has no business to answer. For each tau and theta: chunks that the index gave for a question,
the share saved against searching always, and the hit rate (the reference's words stand in the contexts shown) with its
difference and a paired bootstrap interval over passages. theta is the paper's 3, and beside it 1: a paragraph of AgXQA
is one title, so that few questions have three alike. tau 1.0 leaves memory nearly unused.

`--orders 3` adds the growth experiment: memory grows while it answers, over that many drawn orders.

Rows go to benchmarks/trigger.csv. About 3 minutes on 2 cores with the embedded embedder; no language model is loaded.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from passages import Asked, read_agxqa, read_nq
from rows import Row, append, measured

from fourfold.embed.port import Embedder
from fourfold.embed.sentence import SentenceEmbedder
from fourfold.llm.weights import find_embedder
from fourfold.retrieval.index import OpenIndex, build_index
from fourfold.retrieval.modules.growth import grow
from fourfold.retrieval.modules.knowledge import knowledge_of
from fourfold.retrieval.modules.memory import Memory
from fourfold.retrieval.modules.memory_file import MemoryFile
from fourfold.retrieval.modules.pipeline import RetrievalPath
from fourfold.retrieval.modules.reservoir import Reservoir
from fourfold.retrieval.modules.trigger import Trigger
from fourfold.study import EMBEDDED, RetrievalSettings
from fourfold.text import contains_run, squad_tokens
from fourfold.types import Chunk, Retrieved

N_CONTROL = 200
RESAMPLES = 2000
NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Passages, questions that fill memory, and questions that ask it."""

    name: str
    chunks: Sequence[Chunk]
    first: Sequence[Asked]
    later: Sequence[Asked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Per question, chunks that the index gave and whether it was a hit."""

    outside: NDArray[np.float64]
    hits: NDArray[np.float64]


def main() -> None:
    """Measure both streams and append the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--taus", type=float, nargs="+", default=[1.0, 0.8, 0.6, 0.4])
    parser.add_argument("--thetas", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--limit", type=int, default=None, help="paragraphs read; all of them")
    parser.add_argument("--orders", type=int, default=0, help="orders of the growth experiment; 0: leave it out")
    asked = parser.parse_args()
    embedder = SentenceEmbedder(find_embedder(EMBEDDED), device="cpu")
    rows: list[Row] = []
    for stream in streams(asked.data / "qa", asked.limit):
        with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
            bench = Bench(Path(scratch), stream, embedder, k=asked.k, stack=stack)
            rows += compare(bench, asked.taus, asked.thetas)
            if asked.orders and stream.name == "agxqa":
                rows += growth(bench, asked.orders)
    print(f"rows: {append('trigger', rows)}")


class Bench:
    """One stream with its index open."""

    def __init__(self, folder: Path, stream: Stream, embedder: Embedder, *, k: int, stack: ExitStack) -> None:
        self.folder, self.stream, self.embedder, self.k, self.stack = folder, stream, embedder, k, stack
        build_index(folder / "index", stream.chunks, embedder)
        self.index = stack.enter_context(OpenIndex(folder / "index", stream.chunks, embedder))
        self.knowledge = {chunk.chunk_id: knowledge_of(chunk) for chunk in stream.chunks}
        self.n_files = 0

    def path(self, trigger: Trigger) -> RetrievalPath:
        """A path with an empty memory."""
        self.n_files += 1
        file = self.stack.enter_context(MemoryFile.open(self.folder / f"memory-{self.n_files}.db"))
        memory = Memory(
            Reservoir(file), trigger,
            embed_queries=partial(self.embedder.embed, kind="query"),
            embed_titles=partial(self.embedder.embed, kind="passage"),
        )  # fmt: skip
        return RetrievalPath(
            search=self._search, knowledge=self.knowledge, k=self.k, n_judged=self.k, rrf_constant=60, memory=memory
        )

    def _search(self, queries: Sequence[tuple[str, str]], limit: int) -> Sequence[Retrieved]:
        return self.index.search(queries, RetrievalSettings(k=limit))

    def answer(self, trigger: Trigger) -> Answered:
        """Fill memory from the first questions, then ask the later ones."""
        path = self.path(trigger)
        path.find([(one.question_id, one.question) for one in self.stream.first], fill_at=NOW)
        found = path.find([(one.question_id, one.question) for one in self.stream.later])
        shown: dict[str, list[Retrieved]] = {one.question_id: [] for one in self.stream.later}
        for row in found.retrieved:
            shown[row.question_id].append(row)
        return Answered(
            outside=np.array([trace.n_outside for trace in found.traces], dtype=np.float64),
            hits=np.array([self.is_hit(one, shown[one.question_id]) for one in self.stream.later], dtype=np.float64),
        )

    def is_hit(self, asked: Asked, rows: Sequence[Retrieved]) -> bool:
        """Whether the contexts hold a reference."""
        contexts = [squad_tokens(self.knowledge[row.chunk_id].text) for row in rows]
        return any(contains_run(tokens, squad_tokens(text)) for tokens in contexts for text in asked.references)


def compare(bench: Bench, taus: Sequence[float], thetas: Sequence[int]) -> list[Row]:
    """The table over tau and theta, each against searching always without memory."""
    always = bench.answer(Trigger(mode="pass"))
    n = len(bench.stream.later)
    print(f"\n{bench.stream.name}: {n} questions, {len(bench.stream.first)} filled memory")
    print(f"always: {always.outside.mean():.2f} outside a question, hit rate {always.hits.mean():.3f}")
    rows = [
        *figures(bench, "always", "outside items", always.outside, "chunks a question"),
        *figures(bench, "always", "hit rate", always.hits, "share"),
    ]
    clusters = np.unique([one.passage for one in bench.stream.later], return_inverse=True)[1]
    for theta in thetas:
        for tau in taus:
            ours = bench.answer(Trigger(tau=tau, theta=theta))
            saved = 1 - ours.outside.mean() / always.outside.mean()
            low, high = interval(ours.hits - always.hits, clusters)
            print(
                f"tau {tau:.1f} theta {theta}: {ours.outside.mean():.2f} outside, {saved:+.1%} saved, hit rate "
                f"{ours.hits.mean():.3f}, difference {(ours.hits - always.hits).mean():+.3f} [{low:+.3f}, {high:+.3f}]"
            )
            mode = f"tau {tau} theta {theta}"
            rows += figures(bench, mode, "outside items", ours.outside, "chunks a question")
            rows += figures(bench, mode, "hit rate", ours.hits, "share")
            rows += [
                measured([saved], op="trigger", implementation="outside items saved", unit="share",
                         shape=shape_of(bench), mode=mode),
                measured([low, (ours.hits - always.hits).mean(), high], op="trigger",
                         implementation="hit rate against always: interval", unit="share", shape=shape_of(bench),
                         mode=mode),
            ]  # fmt: skip
    return rows


def growth(bench: Bench, n_orders: int) -> list[Row]:
    """Memory that grows while it answers, over drawn orders of every question."""
    everyone = [*bench.stream.first, *bench.stream.later]
    by_id = {one.question_id: one for one in everyone}
    orders = [random.Random(seed).sample(range(len(everyone)), len(everyone)) for seed in range(n_orders)]
    grown = grow(
        [(one.question_id, one.question) for one in everyone],
        orders,
        start=lambda _: bench.path(Trigger(tau=0.6, theta=1)),
        is_hit=lambda question_id, shown: bench.is_hit(by_id[question_id], shown),
        now=NOW,
    )
    print(f"growing over {n_orders} orders: outside {grown.outside}, hits {grown.hits}")
    print(f"  second halves: outside {grown.later_outside}, hits {grown.later_hits}")
    return [
        measured([mean - spread, mean, mean + spread], op="growing memory", implementation=name, unit=unit,
                 shape=shape_of(bench), mode=f"{n_orders} orders, mean ± spread, tau 0.6 theta 1")
        for name, unit, (mean, spread) in (
            ("outside items", "chunks a question", grown.outside), ("hit rate", "share", grown.hits),
            ("outside items, second half", "chunks a question", grown.later_outside),
            ("hit rate, second half", "share", grown.later_hits),
        )
    ]  # fmt: skip


def figures(bench: Bench, mode: str, what: str, values: NDArray[np.float64], unit: str) -> list[Row]:
    """The mean over questions as one row."""
    return [
        measured([values.mean()], op="trigger", implementation=what, unit=unit, shape=shape_of(bench), mode=mode)
    ]  # fmt: skip


def shape_of(bench: Bench) -> str:
    """What was asked of how much."""
    stream = bench.stream
    return (
        f"{stream.name}: {len(stream.chunks)} passages, {len(stream.first)} fill, {len(stream.later)} ask, k {bench.k}"
    )


def interval(differences: NDArray[np.float64], clusters: NDArray[np.intp]) -> tuple[float, float]:
    """The middle 95% of the mean difference over resampled clusters (at least 30 of them here)."""
    rng = np.random.default_rng(0)
    sums = np.bincount(clusters, weights=differences)
    sizes = np.bincount(clusters)
    drawn = rng.integers(len(sums), size=(RESAMPLES, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def streams(folder: Path, limit: int | None) -> list[Stream]:
    """AgXQA's later questions; NQ's questions asked of AgXQA's memory, both corpora in the index."""
    chunks, asked = read_agxqa(folder)
    chunks = chunks[:limit]
    first = [one for one in asked if one.question_id.endswith("-0")][:limit]
    filled = {one.passage for one in first}
    later = [one for one in asked if one.passage in filled and not one.question_id.endswith("-0")]
    wanted, short = read_nq(folder, 4 * N_CONTROL)
    # The embedder reads 256 tokens.
    readable = {chunk.chunk_id for chunk in wanted if chunk.n_tokens <= 150}
    unrelated = [one for one in short if one.passage in readable][: min(N_CONTROL, limit or N_CONTROL)]
    kept = {one.passage for one in unrelated}
    others = [chunk for chunk in wanted if chunk.chunk_id in kept]
    return [
        Stream(name="agxqa", chunks=chunks, first=first, later=later),
        Stream(name="unrelated", chunks=[*chunks, *others], first=first, later=unrelated),
    ]


if __name__ == "__main__":
    main()
