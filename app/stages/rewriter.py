"""rewriter: an adapter that rewrites questions, tuned on what the study's own tuning questions yield."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.retrieved import has_module, open_search, own_index
from fourfold.digest import digest_of
from fourfold.errors import QuestionError
from fourfold.retrieval.modules.labels import COVER, covered_share
from fourfold.retrieval.modules.prompts import rewrite_chat
from fourfold.retrieval.modules.rewriter_examples import RewriteExample, build_examples, gold_candidates
from fourfold.study import TuningSettings
from fourfold.study.retrieval import RewriterSettings, RewriterTuningSettings
from fourfold.tuning.rows import TuningRow
from fourfold.tuning.train import Base, TrainingSet, train_adapter


def _run(context: Context, folder: Path | None) -> Outcome:
    assert folder is not None
    settings, tuning = _tuned(context)
    examples = _examples(context, settings)
    rows = _rows(context, examples, settings)
    short = [row for row in rows if row.n_tokens <= tuning.cutoff_tokens]
    if not short:
        raise QuestionError(
            "the rewriter has nothing to be tuned on",
            seen=f"{len(examples)} question(s) whose queries find their gold, none in {tuning.cutoff_tokens} tokens",
            expected="at least one",
            hint="raise questions.n_tuning or cutoff_tokens, or leave retrieval.rewriter.tuned out",
        )
    trained = train_adapter(
        folder,
        TrainingSet(rows=short),
        Base(weights=context.weights, settings=context.study.model, device=context.device),
        tuning=_as_tuning(tuning),
        seed=tuning.seed,
        progress=context.reporter.steps("tuning the rewriter", "steps"),
    )
    return Outcome(
        records=[],
        content={"adapter": trained.digest},
        summary={
            **dataclasses.asdict(trained),
            "n_without": len(context.questions("tuning")) - len(examples),
            "n_cut": len(rows) - len(short),
            "device": context.device,
        },
    )


def _examples(context: Context, settings: RewriterSettings) -> tuple[RewriteExample, ...]:
    """Queries that find their question's gold within k, by the study's own index."""
    questions, chunks = context.questions("tuning"), {chunk.chunk_id: chunk for chunk in context.chunks}
    candidates = {question.question_id: gold_candidates(question) for question in questions}
    places = [(question, query) for question in questions for query in candidates[question.question_id]]
    ranks: dict[tuple[str, str], int | None] = {(question.question_id, query): None for question, query in places}
    with open_search(context, own_index(context)) as search:
        rows = search([(str(at), query) for at, (_, query) in enumerate(places)], context.study.retrieval.k)
    for row in sorted(rows, key=lambda row: -row.rank):
        question, query = places[int(row.question_id)]
        if covered_share(question, chunks[row.chunk_id]) >= COVER:
            ranks[question.question_id, query] = row.rank
    return build_examples(questions, candidates, ranks, n_queries=settings.n_queries)


def _rows(context: Context, examples: tuple[RewriteExample, ...], settings: RewriterSettings) -> list[TuningRow]:
    """Each example as the rewriter is prompted, its reply learnt with the end token."""
    student = context.student
    prompts = student.encode([rewrite_chat(example.question, settings.n_queries) for example in examples])
    return [
        TuningRow(
            question_id=example.question_id,
            form="without contexts",
            prompt_ids=prompt,
            answer_ids=(
                *student.tokenizer(example.reply, add_special_tokens=False, split_special_tokens=True)["input_ids"],
                student.tokenizer.eos_token_id,
            ),
        )
        for example, prompt in zip(examples, prompts, strict=True)
    ]


def _tuned(context: Context) -> tuple[RewriterSettings, RewriterTuningSettings]:
    settings = context.study.retrieval.rewriter
    assert settings is not None
    assert settings.tuned is not None
    return settings, settings.tuned


def _as_tuning(settings: RewriterTuningSettings) -> TuningSettings:
    return TuningSettings(
        rank=settings.rank,
        alpha=settings.alpha,
        dropout=settings.dropout,
        layers="query and value",
        learning_rate=settings.learning_rate,
        epochs=settings.epochs,
        batch_rows=settings.batch_rows,
        micro_batch_rows=min(2, settings.batch_rows),
        drift_documents=0,
    )


def _settings(context: Context) -> dict[str, Any]:
    settings, _ = _tuned(context)
    retrieval = context.study.retrieval.model_dump(mode="json", exclude={"rewriter", "knowledge_filter", "memory"})
    return {
        "rewriter": settings.model_dump(mode="json", exclude={"max_tokens"}),
        "search": retrieval,
        "model": context.model_identity,
    }


def _needed(context: Context) -> bool:
    settings = context.study.retrieval.rewriter
    return settings is not None and settings.tuned is not None and has_module(context.study, "rewriter")


STAGE = Stage(
    name="rewriter",
    version=1,
    settings=_settings,
    inputs=lambda context: {
        "tuning questions": digest_of(context.questions("tuning")),
        "index": context.results["index"].digest,
    },
    run=_run,
    blob="resume",
    needed=_needed,
    describe=lambda s: f"{s['n_rows']} rows, loss {s['loss_first']:.2f} → {s['loss_last']:.2f}",
)
