"""tune: one adapter for each seed on the declared training set, and the controls beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.memory import look_at_machine
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.control import build_control_set, control_inputs
from fourfold.app.stages.retrieved import path_inputs
from fourfold.app.stages.training_set import Built, Retriever, Source, build_training_set, form_of
from fourfold.arms import AdapterKind, adapter_names
from fourfold.digest import digest_of
from fourfold.study import StudySettings
from fourfold.tuning.dry_run import over_limit
from fourfold.tuning.general import read_general
from fourfold.tuning.identity import settings_that_matter
from fourfold.tuning.train import Base, train_adapter
from fourfold.types import Retrieved


def _settings(context: Context, kind: AdapterKind, seed: int) -> dict[str, Any]:
    study = context.study
    return {
        "tuning": {**_that_matter(context, kind), "seed": seed},
        "retrieval": study.retrieval.model_dump(mode="json"),
        "instructions": study.answer.instructions,
        "prompt": study.answer.model_dump(mode="json", include={"citations", "contexts"}),
        "model": context.model_identity,
        "own_answer_tokens": study.answer.max_tokens if _answers_itself(study) else None,
    }


def _answers_itself(study: StudySettings) -> bool:
    """Whether answers of the base stand in the training set."""
    return study.tuning.selection != "none" or study.tuning.objective == "dpo"


def _that_matter(context: Context, kind: AdapterKind) -> dict[str, Any]:
    tuning = context.study.tuning
    general = tuning.general
    return {
        **settings_that_matter(tuning.model_copy(update={"form": form_of(context, kind)})),
        "general": None if general is None else [digest_of(list(read_general(general.file))), general.share],
        # No weight depends on it, and the drift that the report shows does.
        "drift_documents": tuning.drift_documents,
    }


def _inputs(context: Context, kind: AdapterKind) -> dict[str, str]:
    # The tuning questions alone: other test questions do not change the adapter.
    inputs = {
        "tuning questions": digest_of(context.questions("tuning")),
        "index": context.results["index"].digest,
        **path_inputs(context),
    }
    if context.study.tuning.checkpoint == "best":
        inputs["validation questions"] = digest_of(context.questions("validation"))
    return {**inputs, **control_inputs(context)} if kind == "control" else inputs


def build_own_set(context: Context, kind: AdapterKind, seed: int) -> tuple[Built, tuple[Retrieved, ...]]:
    """The study's own training set, and what its prompts with contexts are made of."""
    retriever = Retriever(context)
    source = Source(tuning=context.questions("tuning"), validation=context.questions("validation"), retriever=retriever)
    built = build_training_set(context, source, kind, seed)
    return built, retriever.shown(built.questions)


def _run(context: Context, folder: Path | None, kind: AdapterKind, seed: int) -> Outcome:
    assert folder is not None
    study = context.study
    built, records = _build(context, folder, kind, seed)
    if cut := over_limit(built.data.rows, study.answer.max_tokens):
        context.reporter.say(f"  {len(cut)} answers are longer than answer.max_tokens: fourfold dry-run names them")
    available = look_at_machine().available_bytes
    trained = train_adapter(
        folder,
        built.data,
        Base(weights=context.weights, settings=study.model, device=context.device, available_bytes=available),
        tuning=study.tuning,
        seed=seed,
        progress=context.reporter.steps("tuning", "steps"),
    )
    return Outcome(
        records=records,
        content={"adapter": trained.digest},
        summary={
            **dataclasses.asdict(trained),
            **built.summary,
            "kind": kind,
            "seed": seed,
            "n_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
            "device": context.device,
        },
    )


def _build(context: Context, folder: Path, kind: AdapterKind, seed: int) -> tuple[Built, Sequence[object]]:
    own, retrieved = build_own_set(context, kind, seed)
    if kind != "control":
        return own, retrieved
    control = build_control_set(context, folder, seed, n_tokens=sum(row.n_tokens for row in own.data.rows))
    return control, control.questions


def _describe(summary: Mapping[str, Any]) -> str:
    dropped = ", ".join(f"{n} × {reason}" for reason, n in sorted(summary["dropped"].items()))
    saved = summary["saved_share"]
    shared = "" if saved is None else f", {saved:.0%} of them read once with another row's,"
    return (
        f"{summary['n_tokens']:,} tokens{shared} in {summary['n_steps']} steps, "
        f"loss {summary['loss_first']:.2f} → {summary['loss_last']:.2f}"
        + (f", best on validation at step {summary['best_step']}" if summary["best_step"] is not None else "")
        + (f"; rows left out: {dropped}" if dropped else "")
    )


def _stage(name: str, kind: AdapterKind, seed: int) -> Stage:
    return Stage(
        name=name,
        version=2,
        settings=lambda context: _settings(context, kind, seed),
        inputs=lambda context: _inputs(context, kind),
        run=lambda context, folder: _run(context, folder, kind, seed),
        blob="resume",
        describe=_describe,
    )


STAGE = Stage(
    name="tune",
    version=2,
    settings=lambda _: {},
    inputs=lambda _: {},
    run=lambda _context, _folder: Outcome(records=[], content={}, summary={}),
    parts=lambda context: [_stage(name, kind, seed) for name, (kind, seed) in adapter_names(context.study).items()],
)
