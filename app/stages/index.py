"""index: chunks, their vectors and BM25."""

from __future__ import annotations

from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.retrieval.chunk import chunk_documents
from fourfold.retrieval.index import build_index, require_k


def _run(context: Context, folder: Path | None) -> Outcome:
    assert folder is not None
    settings = context.study.index
    chunks = chunk_documents(
        context.blocks, context.count_tokens(), max_tokens=settings.chunk_tokens, overlap=settings.chunk_overlap
    )
    # Before the embedding is paid for.
    require_k(context.study.retrieval.k, len(chunks))
    longest = build_index(folder, chunks, context.embedder)
    return Outcome(
        records=chunks,
        content={"embedder": context.embedder_identity},
        summary={
            "n_chunks": len(chunks),
            "n_tokens": sum(chunk.n_tokens for chunk in chunks),
            "longest_embedder_tokens": longest,
            "n_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        },
    )


STAGE = Stage(
    name="index",
    version=1,
    settings=lambda context: context.chunk_settings,
    inputs=lambda context: {
        "ingest": context.results["ingest"].digest,
        "tokenizer": context.weights.digest,
        "embedder": context.embedder_identity,
    },
    run=_run,
    blob="discard",
    describe=lambda s: f"{s['n_chunks']} chunks of {s['n_tokens'] / s['n_chunks']:.0f} tokens on average",
)
