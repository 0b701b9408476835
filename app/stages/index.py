"""index: chunks, their vectors and BM25; the reranker too where the study trains one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.reranker import FOLDER, TRAINED, reranker_identity
from fourfold.app.vector_server import URL, server_of
from fourfold.digest import digest_of, digest_of_folder
from fourfold.llm.weights import find_embedder
from fourfold.retrieval.chunkers.choose import make_chunker
from fourfold.retrieval.index import build_index, require_k, retrieve
from fourfold.retrieval.modules.judge_cross_encoder import train_cross_encoder
from fourfold.retrieval.modules.labels import label_passages
from fourfold.retrieval.near_duplicates import find_near_duplicates
from fourfold.retrieval.qdrant import Server
from fourfold.study import EMBEDDED
from fourfold.types import Chunk

_EPOCHS, _SEED = 2, 0
# The embedded Qdrant takes 3 ms a question at 10,000 chunks of 384 numbers, and grows with both.
_MANY = 50_000


def _inputs(context: Context) -> Mapping[str, str]:
    inputs = {"ingest": context.results["ingest"].digest, **_vectors(context)}
    if context.study.retrieval.reranker == TRAINED:
        searched = context.study.retrieval.model_dump(
            mode="json", include={"candidates", "rrf_constant", "fusion", "dense_weight"}
        )
        inputs["reranker"] = digest_of([digest_of(context.questions("tuning")), searched, _EPOCHS, _SEED])
    elif (identity := reranker_identity(context)) is not None:
        inputs["reranker"] = identity
    return inputs


def _vectors(context: Context) -> Mapping[str, str]:
    """What a document's vectors depend on beside the document and the settings."""
    return {"tokenizer": context.weights.digest, "embedder": context.embedder_identity}


def _run(context: Context, folder: Path | None) -> Outcome:
    assert folder is not None
    settings = context.study.index
    server = server_of(context)
    chunks = make_chunker(settings, context.count_tokens()).chunk(context.blocks)
    # Before the embedding is paid for.
    require_k(context.study.retrieval.k, len(chunks))
    if server is None and len(chunks) > _MANY:
        context.reporter.say(f"  {len(chunks):,} chunks are compared one by one a question: {URL} names a server")
    built = build_index(folder, chunks, context.embedder, server=server, previous=_previous(context))
    content: dict[str, str | None] = {"embedder": context.embedder_identity}
    if settings.quantisation != "none":
        # Searched approximately, so that the same chunks give other rows.
        content["quantisation"] = settings.quantisation
    if context.study.retrieval.reranker is not None:
        # What answers depend on is the model, not its name.
        trained = context.study.retrieval.reranker == TRAINED
        content["reranker"] = _train(context, folder, chunks, server) if trained else reranker_identity(context)
    return Outcome(
        records=chunks,
        content=content,
        summary={
            "n_chunks": len(chunks),
            "n_tokens": sum(chunk.n_tokens for chunk in chunks),
            "n_near_duplicates": len(find_near_duplicates(chunks)),
            "longest_embedder_tokens": built.longest,
            "n_written": built.n_written,
            "n_removed": built.n_removed,
            "n_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        },
    )


def _train(context: Context, folder: Path, chunks: Sequence[Chunk], server: Server | None) -> str:
    """Train the reranker on what the searches find for the tuning questions; the digest of its files."""
    questions = context.questions("tuning")
    settings = context.study.retrieval
    found = retrieve(
        folder,
        chunks,
        context.embedder,
        questions=[(question.question_id, question.question) for question in questions],
        settings=settings.model_copy(update={"reranker": None, "k": min(settings.candidates, len(chunks))}),
        server=server,
    )
    train_cross_encoder(
        folder / FOLDER,
        label_passages(questions, [(row.question_id, row.chunk_id) for row in found], chunks),
        find_embedder(EMBEDDED).folder,
        epochs=_EPOCHS,
        seed=_SEED,
        device=context.device,
        progress=context.reporter.steps("reranker", "steps"),
    )
    return digest_of_folder(folder / FOLDER)


def _previous(context: Context) -> Path | None:
    """The newest index of other documents, cut and embedded as these: what is unchanged is copied from it.

    A copy, and no collection that goes on changing: an older result may be asked again.
    """
    found = context.store.connection.execute(
        "SELECT key, settings, inputs FROM results WHERE stage = ? ORDER BY created_at DESC", (STAGE.name,)
    )
    for key, settings, inputs in found:
        read = json.loads(inputs)
        same = all(read.get(name) == value for name, value in _vectors(context).items())
        folder = context.store.blob_folder(STAGE.name, key)
        if same and json.loads(settings) == STAGE.settings(context) and folder.is_dir():
            return folder
    return None


STAGE = Stage(
    name="index",
    version=2,
    settings=lambda context: context.chunk_settings,
    inputs=_inputs,
    run=_run,
    blob="discard",
    describe=lambda s: (
        f"{s['n_chunks']} chunks of {s['n_tokens'] / s['n_chunks']:.0f} tokens on average, {s['n_written']} of them new"
        + (f", {s['n_near_duplicates']} nearly repeat another" if s["n_near_duplicates"] else "")
    ),
)
