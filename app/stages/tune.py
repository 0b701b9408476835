"""tune: one adapter for each seed on the declared mixture of prompt forms, and the controls beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.control import control_inputs, control_rows
from fourfold.app.stages.retrieved import contexts_of
from fourfold.arms import AdapterKind, adapter_names
from fourfold.digest import digest_of
from fourfold.retrieval.index import retrieve
from fourfold.tuning.rows import TuningRow, build_rows
from fourfold.tuning.train import Base, train_adapter
from fourfold.types import Retrieved

_SHARE: Mapping[AdapterKind, float] = {"without contexts": 0.0, "with contexts": 1.0}


def _share(context: Context, kind: AdapterKind) -> float:
    return _SHARE.get(kind, context.study.tuning.with_context_share)


def _settings(context: Context, kind: AdapterKind, seed: int) -> dict[str, Any]:
    study = context.study
    tuning = study.tuning.model_dump(mode="json", exclude={"checkpoint_steps", "seeds", "control", "single_forms"})
    return {
        "tuning": {**tuning, "seed": seed, "with_context_share": _share(context, kind)},
        "retrieval": study.retrieval.model_dump(mode="json"),
        "instructions": study.answer.instructions,
        "model": context.model_identity,
    }


def _inputs(context: Context, kind: AdapterKind) -> dict[str, str]:
    # The tuning questions alone: other test questions do not change the adapter.
    inputs = {
        "tuning questions": digest_of(context.questions("tuning")),
        "index": context.results["index"].digest,
    }
    return {**inputs, **control_inputs(context)} if kind == "control" else inputs


def rows_of_corpus(context: Context, kind: AdapterKind) -> tuple[tuple[TuningRow, ...], tuple[Retrieved, ...]]:
    """The study's own tuning rows, and what was retrieved for them."""
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
        context.student,
        questions,
        contexts_of(retrieved, context.chunks),
        instructions=study.answer.instructions,
        with_context_share=_share(context, kind),
    )
    return rows, retrieved


def _run(context: Context, folder: Path | None, kind: AdapterKind, seed: int) -> Outcome:
    assert folder is not None
    study = context.study
    rows, records = _rows(context, folder, kind)
    trained = train_adapter(
        folder,
        rows,
        Base(weights=context.weights, settings=study.model, device=context.device),
        tuning=study.tuning,
        seed=seed,
        progress=context.reporter.steps("tuning", "steps"),
    )
    return Outcome(
        records=records,
        content={"adapter": trained.digest},
        summary={
            **dataclasses.asdict(trained),
            "kind": kind,
            "seed": seed,
            "n_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
            "device": context.device,
        },
    )


def _rows(context: Context, folder: Path, kind: AdapterKind) -> tuple[Sequence[TuningRow], Sequence[object]]:
    own, retrieved = rows_of_corpus(context, kind)
    if kind != "control":
        return own, retrieved
    return control_rows(context, folder, n_tokens=sum(row.n_tokens for row in own))


def _stage(name: str, kind: AdapterKind, seed: int) -> Stage:
    return Stage(
        name=name,
        version=1,
        settings=lambda context: _settings(context, kind, seed),
        inputs=lambda context: _inputs(context, kind),
        run=lambda context, folder: _run(context, folder, kind, seed),
        blob="resume",
        describe=lambda s: (
            f"{s['n_tokens']:,} tokens in {s['n_steps']} steps, loss {s['loss_first']:.2f} → {s['loss_last']:.2f}"
        ),
    )


STAGE = Stage(
    name="tune",
    version=1,
    settings=lambda _: {},
    inputs=lambda _: {},
    run=lambda _context, _folder: Outcome(records=[], content={}, summary={}),
    parts=lambda context: [_stage(name, kind, seed) for name, (kind, seed) in adapter_names(context.study).items()],
)
