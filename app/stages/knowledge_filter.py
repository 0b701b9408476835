"""filter: the knowledge filter's cross-encoder and threshold, from the tuning questions alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.retrieved import has_module, open_search, own_index, pair_scorer, path_inputs
from fourfold.digest import digest_of, digest_of_file
from fourfold.retrieval.modules.judge_cross_encoder import train_cross_encoder
from fourfold.retrieval.modules.labels import label_passages
from fourfold.retrieval.modules.threshold import calibrate_threshold

# Of a cross-encoder's labelled questions, one in so many is kept from training, for the threshold.
HELD_OUT = 4


def _run(context: Context, folder: Path | None) -> Outcome:
    assert folder is not None
    settings = context.study.retrieval.knowledge_filter
    assert settings is not None
    questions, chunks = context.questions("tuning"), context.chunks
    with open_search(context, own_index(context)) as search:
        rows = search([(q.question_id, q.question) for q in questions], min(settings.candidates, len(chunks)))
    found = [(row.question_id, row.chunk_id) for row in rows]
    trains = settings.engine == "cross-encoder" and settings.model is None
    held_out = questions[::HELD_OUT] if trains else questions
    pairs = label_passages(held_out, found, chunks)
    summary: dict[str, Any] = {"n_pairs": len(pairs), "n_trained": 0, "loss": None, "curve": None}
    content: dict[str, Any] = {}
    if trains:
        taken = {question.question_id for question in held_out}
        learnt = label_passages([q for q in questions if q.question_id not in taken], found, chunks)
        summary["n_trained"] = len(learnt)
        summary["loss"] = train_cross_encoder(
            folder, learnt, context.embedder_weights.folder, epochs=settings.epochs, seed=settings.seed,
            device=context.device, progress=context.reporter.steps("training the filter", "steps"),
        )  # fmt: skip
        content["weights"] = digest_of_file(folder / "model.safetensors")
    threshold = settings.threshold
    if threshold is None:
        scores = pair_scorer(context, folder if trains else settings.model).score([pair.pair for pair in pairs])
        curve = calibrate_threshold(pairs, scores, max_lost=settings.max_lost)
        threshold, summary["curve"] = curve.chosen.threshold, dataclasses.asdict(curve)
    content["threshold"] = threshold
    return Outcome(records=[], content=content, summary={**summary, "threshold": threshold})


def _needed(context: Context) -> bool:
    settings = context.study.retrieval.knowledge_filter
    if settings is None or not has_module(context.study, "filter"):
        return False
    trains = settings.engine == "cross-encoder" and settings.model is None
    return trains or (settings.engine != "prompted" and settings.threshold is None)


def _settings(context: Context) -> dict[str, Any]:
    retrieval = context.study.retrieval
    assert retrieval.knowledge_filter is not None
    return {
        "filter": retrieval.knowledge_filter.model_dump(mode="json"),
        "search": retrieval.model_dump(mode="json", exclude={"k", "rewriter", "knowledge_filter", "memory"}),
        "model": context.model_identity,
        "encoder": context.embedder_weights.digest if retrieval.knowledge_filter.engine == "cross-encoder" else None,
    }


STAGE = Stage(
    name="filter",
    version=1,
    settings=_settings,
    inputs=lambda context: {
        "tuning questions": digest_of(context.questions("tuning")),
        "index": context.results["index"].digest,
        **path_inputs(context, ()),
    },
    run=_run,
    blob="discard",
    needed=_needed,
    describe=lambda s: f"threshold {s['threshold']:.3f} from {s['n_pairs']} passages, {s['n_trained']} trained on",
)
