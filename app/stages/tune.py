"""tune: one adapter on the declared mixture of prompt forms."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.retrieved import contexts_of
from fourfold.digest import digest_of
from fourfold.retrieval.index import retrieve
from fourfold.tuning.rows import build_rows
from fourfold.tuning.train import Base, train_adapter


def _settings(context: Context) -> dict[str, Any]:
    study = context.study
    return {
        "tuning": study.tuning.model_dump(mode="json", exclude={"checkpoint_steps"}),
        "retrieval": study.retrieval.model_dump(mode="json"),
        "instructions": study.answer.instructions,
        "model": context.model_identity,
    }


def _run(context: Context, folder: Path | None) -> Outcome:
    assert folder is not None
    study = context.study
    questions = context.questions("tuning")
    retrieved = retrieve(
        context.index_folder,
        context.chunks,
        context.embedder,
        questions=[(question.question_id, question.question) for question in questions],
        settings=study.retrieval,
    )
    rows = build_rows(
        context.engine,
        questions,
        contexts_of(retrieved, context.chunks),
        instructions=study.answer.instructions,
        with_context_share=study.tuning.with_context_share,
    )
    trained = train_adapter(
        folder,
        rows,
        Base(weights=context.weights, settings=study.model, device=context.device),
        tuning=study.tuning,
        progress=context.reporter.steps("tuning", "steps"),
    )
    return Outcome(
        records=retrieved,
        content={"adapter": trained.digest},
        summary={**dataclasses.asdict(trained), "device": context.device},
    )


STAGE = Stage(
    name="tune",
    version=1,
    settings=_settings,
    # The tuning questions alone: other test questions do not change the adapter.
    inputs=lambda context: {
        "tuning questions": digest_of(context.questions("tuning")),
        "index": context.results["index"].digest,
    },
    run=_run,
    blob="resume",
    needed=lambda context: any(arm.startswith("tuned") for arm in context.study.answer.arms),
    describe=lambda s: (
        f"{s['n_tokens']:,} tokens in {s['n_steps']} steps, loss {s['loss_first']:.2f} → {s['loss_last']:.2f}"
    ),
)
