"""Recall and nDCG of dense, BM25 and hybrid search on public question sets, and recall while the index grows.

    FOURFOLD_TEST_DATA=DATA python benchmarks/retrieval.py [agxqa] [nq-oracle] [scifact]

Hybrid is weighted fusion, its weight chosen for nDCG@10 on questions that are not reported (SciFact: the training
claims; else those of a third of the passages), and reciprocal rank with constant 60. Intervals are cluster-robust over
passages. `against the better` is hybrid minus the better of dense and BM25, paired. Growth searches a sixth, a third
and all of the passages for the same questions. For information: Balaguer et al. 2024 report recall 61.9 / 75.0 / 81.5 /
87.8 / 93.6% at k 1 / 2 / 3 / 5 / 10 for 573 documents of their own. Rows go to `retrieval.csv`. Vectors are kept in
runs/benchmarks; the first run embeds 8,000 passages: 10 minutes on one core.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import os
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

from retrieval_sets import NAMES, Asked, Name, QuestionSet, load

from fourfold.app.provenance import provenance
from fourfold.embed.cache import CachedEmbedder
from fourfold.embed.sentence import SentenceEmbedder
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.ranking_metrics import score_ranking
from fourfold.llm.weights import find_embedder
from fourfold.retrieval.dense import DenseIndex
from fourfold.retrieval.fusion import fuse_ranks
from fourfold.retrieval.lexical import LexicalIndex
from fourfold.retrieval.weighted import choose_weight, fuse_scores, weight_curve
from fourfold.store import Store
from fourfold.types import Chunk

ROOT = Path(__file__).parent.parent
PATH = Path(__file__).with_suffix(".csv")
KS = (1, 2, 3, 5, 10)
CANDIDATES = 100
CONSTANT = 60
SEED = 0
Found = list[tuple[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure with its interval."""

    dataset: str
    n_passages: int
    method: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n_questions: int
    n_clusters: int
    dense_weight: float | None
    commit: str
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What both searches found for each of some questions."""

    asked: Sequence[Asked]
    dense: Sequence[Found]
    bm25: Sequence[Found]


def main(names: Sequence[Name]) -> None:
    """Measure, print and append."""
    folder = Path(os.environ["FOURFOLD_TEST_DATA"])
    with Store.open(ROOT / "runs" / "benchmarks") as store:
        embedder = CachedEmbedder(
            SentenceEmbedder(find_embedder("embedded"), device="cpu"), store,
            progress=lambda done, total: print(f"  embedded {done}/{total}", file=sys.stderr),
        )  # fmt: skip
        for name in names:
            rows = measure(load(name, folder), embedder)
            for row in rows:
                interval = "" if row.low is None else f"[{row.low:.4f}, {row.high:.4f}]"
                print(f"{row.dataset:10} {row.n_passages:5} {row.method:20} {row.metric:28} {row.value:.4f} {interval}")
            append(rows)


def measure(held: QuestionSet, embedder: CachedEmbedder) -> list[Row]:
    """All figures of one set."""
    tuned = search(held.passages, held.held_out, embedder)
    found = search(held.passages, held.test, embedder)
    curve = weight_curve(
        list(zip(tuned.dense, tuned.bm25, strict=True)),
        lambda at, ranked: score(tuned.asked[at], ranked, 10)["ndcg"],
    )
    weight = choose_weight(curve)
    methods = rankings(found, weight)
    rows = []
    for method, ranked in methods.items():
        used = weight if method == "hybrid, weighted" else None
        named = [(f"recall@{k}", k, "recall") for k in KS]
        named += [("ndcg@10", 10, "ndcg"), ("mrr@10", 10, "reciprocal_rank")]
        for metric, k, kind in named:
            rows.append(row_of(held, found.asked, method, metric, values(found, ranked, k, kind), used))
    for method in ("hybrid, weighted", "hybrid, rrf"):
        for metric, k, kind in (("recall@5", 5, "recall"), ("ndcg@10", 10, "ndcg")):
            single = {name: values(found, methods[name], k, kind) for name in ("dense", "bm25")}
            better = max(single.values(), key=sum)
            own = values(found, methods[method], k, kind)
            gain = [a - b for a, b in zip(own, better, strict=True)]
            rows.append(row_of(held, found.asked, method, f"{metric} against the better", gain, weight))
    return rows + growth(held, embedder, weight)


def growth(held: QuestionSet, embedder: CachedEmbedder, weight: float) -> list[Row]:
    """Recall of the same questions among a sixth, a third and all of the passages."""
    draw = random.Random(SEED)
    sixth = len(held.passages) // 6
    chosen: list[Asked] = []
    base: set[str] = set()
    for asked in draw.sample(list(held.test), len(held.test)):
        # Half of the sixth are passages that nobody asks for.
        if len(base | asked.relevant) <= max(sixth // 2, 1):
            chosen.append(asked)
            base |= asked.relevant
    others = draw.sample(sorted(held.passages.keys() - base), len(held.passages) - len(base))
    rows = []
    for times in (1, 2, 6):
        kept = base | set(others[: (len(held.passages) if times == 6 else times * sixth) - len(base)])
        part = dataclasses.replace(held, passages={own: text for own, text in held.passages.items() if own in kept})
        found = search(part.passages, chosen, embedder)
        ranked = rankings(found, weight)["hybrid, weighted"]
        for k in KS:
            metric = f"recall@{k} at x{times}"
            rows.append(row_of(part, chosen, "hybrid, weighted", metric, values(found, ranked, k, "recall"), weight))
    return rows


def search(passages: Mapping[str, str], asked: Sequence[Asked], embedder: CachedEmbedder) -> Searched:
    """Both searches of the product, a passage being a chunk."""
    chunks = [
        Chunk(
            chunk_id=own, doc_id=own, position=0, start=0, end=len(text), page_first=1, page_last=1, section=(),
            n_tokens=0, text=text,
        )
        for own, text in passages.items()
    ]  # fmt: skip
    limit = min(CANDIDATES, len(chunks))
    texts = [one.text for one in asked]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with DenseIndex(folder / "dense", chunks, embedder.identity) as dense:
            dense.sync(partial(embedder.embed, kind="passage"))
            by_dense = dense.search(embedder.embed(texts, kind="query"), limit)
        LexicalIndex.build(folder / "bm25", chunks)
        by_bm25 = LexicalIndex(folder / "bm25", chunks).search(texts, limit)
    named = [[(chunks[at].chunk_id, value) for at, value in found] for found in by_bm25]
    return Searched(asked=asked, dense=by_dense, bm25=named)


def rankings(found: Searched, weight: float) -> dict[str, list[list[str]]]:
    """Every method's order of ids for each question."""
    pairs = list(zip(found.dense, found.bm25, strict=True))
    return {
        "dense": [ids(dense) for dense, _ in pairs],
        "bm25": [ids(bm25) for _, bm25 in pairs],
        "hybrid, rrf": [ids(fuse_ranks([ids(dense), ids(bm25)], constant=CONSTANT)) for dense, bm25 in pairs],
        "hybrid, weighted": [ids(fuse_scores(pair, weights=(weight, 1 - weight))) for pair in pairs],
    }


def ids(found: Sequence[tuple[str, float]]) -> list[str]:
    """Without scores."""
    return [own for own, _ in found]


def score(asked: Asked, ranked: Sequence[str], k: int) -> dict[str, float]:
    """Every metric of one question."""
    return dataclasses.asdict(score_ranking(ranked, dict.fromkeys(asked.relevant, 1), k=k))


def values(found: Searched, ranked: Sequence[Sequence[str]], k: int, kind: str) -> list[float]:
    """One metric of every question."""
    return [score(asked, own, k)[kind] for asked, own in zip(found.asked, ranked, strict=True)]


def row_of(
    held: QuestionSet, asked: Sequence[Asked], method: str, metric: str, own: list[float], weight: float | None
) -> Row:
    """A mean with its interval."""
    estimate = cluster_mean(own, [one.cluster for one in asked])
    assert estimate.value is not None
    return Row(
        dataset=held.name,
        n_passages=len(held.passages),
        method=method,
        metric=metric,
        value=round(estimate.value, 4),
        low=None if estimate.low is None else round(estimate.low, 4),
        high=None if estimate.high is None else round(estimate.high, 4),
        n_questions=len(own),
        n_clusters=estimate.n_clusters,
        dense_weight=weight,
        commit=commit(),
        date=datetime.now(tz=UTC).date().isoformat(),
    )


@functools.cache
def commit() -> str:
    """That of this run; git is asked once."""
    return provenance()["commit"] or "none"


def append(rows: Sequence[Row]) -> None:
    """Add rows to the CSV; a new file gets its heading."""
    new = not PATH.exists()
    with PATH.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Row)], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)


if __name__ == "__main__":
    wanted = sys.argv[1:] or NAMES
    assert set(wanted) <= set(NAMES), f"names of sets: {', '.join(NAMES)}"
    main(cast("Sequence[Name]", wanted))
