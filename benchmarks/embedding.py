"""Embedding the quickstart's chunks: the port beside sentence-transformers in float32, in one run.

    python benchmarks/embedding.py

Chunks are those of the quickstart's corpus by the study's own settings. Both models are warm; repetitions alternate, so
that a busy machine slows both. Also measured: the same from the store, and the port in batches sorted by tokens instead
of by characters as sentence-transformers does. Rows go to `embedding.csv`; the cosines are of this run's vectors.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rows import append, measured

from fourfold.app.context import Context
from fourfold.app.progress import Reporter
from fourfold.app.run import default_cache
from fourfold.app.stages.ingest import STAGE as INGEST
from fourfold.embed.cache import CachedEmbedder
from fourfold.embed.sentence import SentenceEmbedder
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import find_embedder
from fourfold.retrieval.chunk import chunk_documents
from fourfold.store import Store
from fourfold.study_file import load_study
from fourfold.types import Block

STUDY = Path(__file__).parent.parent / "examples" / "quickstart" / "study.yaml"
N = 5


def main() -> None:
    """Measure, print and append."""
    from sentence_transformers import SentenceTransformer

    texts = chunk_texts()
    weights = find_embedder("embedded")
    port = SentenceEmbedder(weights, device="cpu")
    with quiet_transformers():
        rival = SentenceTransformer(str(weights.folder), device="cpu", local_files_only=True)

    def theirs() -> object:
        return rival.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    def by_tokens() -> object:
        counts = port.count_tokens(texts, kind="passage")
        order = sorted(range(len(texts)), key=lambda at: -counts[at])
        return [port.embed([texts[at] for at in order[i : i + 32]], kind="passage") for i in range(0, len(order), 32)]

    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder)) as store:
        cached = CachedEmbedder(port, store)
        ways: dict[str, tuple[str, str, Callable[[], object]]] = {
            "sentence-transformers": ("float32", "", theirs),
            "fourfold": ("bfloat16", "", lambda: port.embed(texts, kind="passage")),
            "fourfold by tokens": ("bfloat16", "sorted by tokens", by_tokens),
            "fourfold from the store": ("float32", "cached", lambda: cached.embed(texts, kind="passage")),
        }
        for *_, way in ways.values():
            way()
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(N):
            for name, (_, _, way) in ways.items():
                started = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - started)
    cosines = (port.embed(texts, kind="passage") * np.asarray(theirs())).sum(axis=1)
    shape = f"{len(texts)} chunks, {sum(port.count_tokens(texts, kind='passage'))} tokens"
    rows = [
        measured(
            [len(texts) / one for one in seconds[name]],
            op="embed passages", implementation=name, unit="texts/s", shape=shape, mode=mode, dtype=dtype,
        )
        for name, (dtype, mode, _) in ways.items()
    ]  # fmt: skip
    ratios = [a / b for a, b in zip(seconds["sentence-transformers"], seconds["fourfold"], strict=True)]
    rows += [
        measured(ratios, op="embed passages", implementation="fourfold", unit="x sentence-transformers", shape=shape),
        measured([float(cosines.min())], op="least cosine to float32", implementation="fourfold", unit="", shape=shape),
    ]
    for row in rows:
        print(f"{row.op:24} {row.implementation:24} {row.median:10.4f} {row.unit}")
    print(append("embedding", rows))


def chunk_texts() -> list[str]:
    """The quickstart's chunks, without carrying the study out."""
    study = load_study(STUDY)
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder)) as store:
        context = Context(
            study=study, store=store, reporter=Reporter(quiet=True), cache=default_cache(os.environ)
        )  # fmt: skip
        blocks = [record for record in INGEST.run(context, None).records if isinstance(record, Block)]
        chunks = chunk_documents(
            blocks, context.count_tokens(), max_tokens=study.index.chunk_tokens, overlap=study.index.chunk_overlap
        )
    return [chunk.text for chunk in chunks]


if __name__ == "__main__":
    main()
