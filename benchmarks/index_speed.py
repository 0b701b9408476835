"""Indexing beside llama-index, and the time of one question, at 10,000 and 100,000 chunks.

    FOURFOLD_TEST_DATA=DATA python benchmarks/index_speed.py [indexing] [query] [large]

*indexing*: chunks/s of `build_index` (embedding, Qdrant in a folder, BM25, all written) against llama-index's
`VectorStoreIndex.from_documents` with its own defaults (HuggingFaceEmbedding: float32, batches of 10; vectors in
memory, nothing written) and the same model, 600 Natural Questions passages, alternating in one run. *query*: one
question after another through `OpenIndex` at 10,000 chunks, embedding included, and its parts. *large*: the vectors
alone at 100,000 chunks in the embedded Qdrant and in qdrant-edge, Qdrant's own engine in process; what a server does
behind its network is the latter. Query and large search drawn vectors beside real texts: how long a search takes does
not depend on what vectors mean. Rows go to `index_speed.csv`; about 8 minutes on 2 cores.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rows import Row, append, measured

from fourfold.embed.port import Kind, Vectors
from fourfold.embed.sentence import SentenceEmbedder
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import find_embedder
from fourfold.retrieval.dense import DenseIndex
from fourfold.retrieval.index import OpenIndex, build_index
from fourfold.retrieval.lexical import LexicalIndex
from fourfold.study import RetrievalSettings
from fourfold.types import Chunk

D = 384
N_INDEXED = 600
N_QUERIES = 200
N_LARGE = 100_000
# Of a passage: under the embedder's limit of 256 tokens, as chunks of 192 are.
_CHARACTERS = 700
N_REPETITIONS = 3
SETTINGS = RetrievalSettings(k=3, candidates=20)


class DrawnEmbedder:
    """Real vectors for questions, drawn ones for passages."""

    def __init__(self, embedder: SentenceEmbedder) -> None:
        self._embedder = embedder
        self.identity: Mapping[str, str | int | None] = {"engine": "drawn", "dimension": D}
        self.max_tokens = None

    def count_tokens(self, texts: Sequence[str], *, kind: Kind) -> None:
        """Not counted."""

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        """Vectors [N, D] of length 1."""
        return self._embedder.embed(texts, kind=kind) if kind == "query" else drawn(len(texts))


def drawn(n: int) -> Vectors:
    """Vectors [N, D] of length 1, the same each time."""
    vectors = np.random.default_rng(0).normal(size=(n, D)).astype(np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def main(parts: Sequence[str]) -> None:
    """Measure, print and append."""
    questions, passages = texts()
    embedder = SentenceEmbedder(find_embedder("embedded"), device="cpu")
    embedder.embed(questions[:4], kind="query")
    rows: list[Row] = []
    if "indexing" in parts:
        rows += indexing(passages[:N_INDEXED], embedder)
    if "query" in parts:
        rows += query_path(questions[:N_QUERIES], passages, embedder)
    if "large" in parts:
        rows += large()
    for row in rows:
        print(f"{row.op:24} {row.implementation:34} {row.shape:18} {row.median:12.3f} {row.unit}")
    print(append("index_speed", rows))


def texts() -> tuple[list[str], list[str]]:
    """Questions and passages of Natural Questions."""
    path = Path(os.environ["FOURFOLD_TEST_DATA"]) / "qa" / "nq-open-oracle.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["question"] for row in rows], list(dict.fromkeys(row["ctxs"][0]["text"][:_CHARACTERS] for row in rows))


def chunks_of(passages: Sequence[str]) -> list[Chunk]:
    """Passages as chunks, ten a document."""
    return [
        Chunk(
            chunk_id=f"{at:024x}", doc_id=f"d{at // 10}", position=at, start=0, end=len(text), page_first=1,
            page_last=1, section=(), n_tokens=0, text=text,
        )
        for at, text in enumerate(passages)
    ]  # fmt: skip


def indexing(passages: Sequence[str], embedder: SentenceEmbedder) -> list[Row]:
    """Chunks a second of both, and their ratio, repetitions alternating."""
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    with quiet_transformers():
        rival = HuggingFaceEmbedding(model_name=str(find_embedder("embedded").folder), device="cpu")

    def ours(passages: Sequence[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            build_index(Path(folder), chunks_of(passages), embedder)

    def theirs(passages: Sequence[str]) -> None:
        documents = [Document(text=text) for text in passages]
        index = VectorStoreIndex.from_documents(documents, embed_model=rival)
        assert len(index.docstore.docs) == len(passages)

    for way in (ours, theirs):
        # Modules are imported and models loaded once.
        way(passages[:8])
    seconds: dict[str, list[float]] = {"fourfold": [], "llama-index": []}
    for _ in range(N_REPETITIONS):
        for name, way in (("fourfold", ours), ("llama-index", theirs)):
            seconds[name].append(timed(lambda way=way: way(passages)))
    shape = f"{len(passages)} chunks"
    ratios = [b / a for a, b in zip(seconds["fourfold"], seconds["llama-index"], strict=True)]
    return [
        *(
            measured(
                [len(passages) / s for s in own], op="index passages", implementation=name, unit="chunks/s", shape=shape
            )
            for name, own in seconds.items()
        ),
        measured(ratios, op="index passages", implementation="fourfold", unit="x llama-index", shape=shape),
    ]


def query_path(questions: Sequence[str], passages: Sequence[str], embedder: SentenceEmbedder) -> list[Row]:
    """Milliseconds of one question after another at 10,000 chunks, and of each part."""
    n = 10_000
    pieces = [text[start : start + 400] for text in passages for start in (0, 60, 120, 180)]
    chunks, port = chunks_of(pieces[:n]), DrawnEmbedder(embedder)
    assert len(chunks) == n
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_index(folder, chunks, port)
        with OpenIndex(folder, chunks, port) as index:
            whole = each(questions, lambda text: index.search([("q", text)], SETTINGS))
        vectors = dict(zip(questions, embedder.embed(questions, kind="query"), strict=True))
        with DenseIndex(folder / "qdrant", chunks, port.identity) as dense:
            of_dense = each(questions, lambda text: dense.search(vectors[text][np.newaxis], SETTINGS.candidates))
        lexical = LexicalIndex(folder / "bm25", chunks)
        of_bm25 = each(questions, lambda text: lexical.search([text], SETTINGS.candidates))
    of_embedding = each(questions, lambda text: embedder.embed([text], kind="query"))
    parts = {"whole path": whole, "embedding": of_embedding, "embedded Qdrant": of_dense, "bm25s": of_bm25}
    return [
        measured(own, op="one question", implementation=name, unit="ms", shape=f"{n} chunks")
        for name, own in parts.items()
    ]


def large() -> list[Row]:
    """Writing and searching 100,000 vectors in process."""
    n = N_LARGE
    vectors, queries = drawn(n), drawn(100)[::-1]
    rows = []
    for name, way in (("embedded Qdrant", _in_folder), ("qdrant-edge", _in_edge)):
        with tempfile.TemporaryDirectory() as folder:
            written_s, opened_s, search, close = way(Path(folder), vectors)
            own = each([*queries], search)
            close()
        shape = f"{n} vectors"
        rows += [
            measured([n / written_s], op="write vectors", implementation=name, unit="vectors/s", shape=shape),
            measured([opened_s], op="open", implementation=name, unit="s", shape=shape),
            measured(own, op="search", implementation=name, unit="ms", shape=shape),
        ]
    return rows


def _in_folder(folder: Path, vectors: Vectors) -> tuple[float, float, Callable[[Any], object], Callable[[], None]]:
    chunks = chunks_of(["text"] * len(vectors))
    identity = {"engine": "drawn"}
    with DenseIndex(folder / "q", chunks, identity) as index:
        written_s = timed(lambda: index.sync(lambda _: vectors))
    started = time.perf_counter()
    opened = DenseIndex(folder / "q", chunks, identity)
    return written_s, time.perf_counter() - started, lambda v: opened.search(v[np.newaxis], 20), opened.close


def _in_edge(folder: Path, vectors: Vectors) -> tuple[float, float, Callable[[Any], object], Callable[[], None]]:
    import qdrant_edge

    params = qdrant_edge.EdgeVectorParams(size=D, distance=qdrant_edge.Distance.Dot)
    shard = qdrant_edge.EdgeShard.create(str(folder), qdrant_edge.EdgeConfig(vectors=params))

    def write() -> None:
        for start in range(0, len(vectors), 1000):
            batch = enumerate(vectors[start : start + 1000].tolist(), start=start)
            points = [qdrant_edge.Point(id=at, vector=vector, payload={"doc_id": "d"}) for at, vector in batch]
            shard.update(qdrant_edge.UpdateOperation.upsert_points(points))
        shard.flush()

    written_s = timed(write)
    shard.close()
    started = time.perf_counter()
    opened = qdrant_edge.EdgeShard.load(str(folder))
    opened_s = time.perf_counter() - started
    assert opened.count(qdrant_edge.CountRequest()) == len(vectors)

    def search(vector: Vectors) -> object:
        query = qdrant_edge.Query.Nearest(vector.tolist())
        return opened.query(qdrant_edge.QueryRequest(limit=20, query=query))

    return written_s, opened_s, search, opened.close


def each(items: Sequence[Any], way: Callable[[Any], object]) -> list[float]:
    """Milliseconds of each call, the first being a warm-up that is not counted."""
    way(items[0])
    return [1000 * timed(lambda item=item: way(item)) for item in items]


def timed(way: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(sys.argv[1:] or ["indexing", "query", "large"])
