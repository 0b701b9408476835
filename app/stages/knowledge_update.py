"""Asked again after the documents changed: adapters as they were tuned, retrieval over the new corpus' own index."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.stages.ingest import read_options
from fourfold.app.stages.retrieved import Indexed, find_contexts
from fourfold.app.stages.shots import NO_SHOTS, shot_chooser
from fourfold.arms import ArmPlan, arms_of
from fourfold.evals.knowledge_update import find_changes, find_stale, states_old
from fourfold.ingest.corpus import Corpus, read_corpus
from fourfold.llm.port import Completion
from fourfold.prompts import answer_chat, prompt_form
from fourfold.retrieval.chunkers.choose import make_chunker
from fourfold.retrieval.index import build_index, require_k
from fourfold.types import Question, Score

STALE = "stale answer"


def ask_after_update(context: Context, folder: Path) -> tuple[list[Score], Mapping[str, Any]]:
    """Every contestant's answers to the questions whose evidence went stale, one row each, and what a refresh takes.

    Memory (retrieval.memory) has no part: it holds passages of the old corpus.

    Args:
        context: the study; its results up to 'answer' are there.
        folder: of the changed documents.

    Raises:
        DocumentError: nothing changed, or no document can be read.
    """
    started = time.perf_counter()
    corpus = read_corpus(folder, options=read_options(context.study.corpus, os.environ))
    changes = find_changes(context.documents, corpus.documents)
    reading = time.perf_counter() - started
    stale = find_stale(context.questions("test"), corpus.blocks)
    with tempfile.TemporaryDirectory() as scratch:
        indexed = _index(context, corpus, Path(scratch))
        indexing = time.perf_counter() - started - reading
        shown = _contexts(context, stale, indexed)
    rows = [row for plan in _contestants(context) for row in _answered(context, plan, stale, shown)]
    update = {
        **dataclasses.asdict(changes),
        "n_stale": len(stale),
        "n_questions": sum(question.answerable is not False for question in context.questions("test")),
        "refresh_s": _refresh(context, reading=reading, indexing=indexing),
    }
    return rows, update


def _contestants(context: Context) -> list[ArmPlan]:
    return [plan for plan in arms_of(context.study) if plan.role == "contestant"]


def _index(context: Context, corpus: Corpus, folder: Path) -> Indexed:
    # Nothing cached, for its time is told: a whole index, an upper bound of what a refresh embeds.
    chunks = make_chunker(context.study.index, context.count_tokens()).chunk(corpus.blocks)
    require_k(context.study.retrieval.k, len(chunks))
    build_index(folder / "index", chunks, context.uncached_embedder)
    return Indexed(folder=folder / "index", chunks=chunks, documents=corpus.documents)


def _contexts(context: Context, questions: Sequence[Question], indexed: Indexed) -> Mapping[str, Sequence[str]]:
    if not questions or not any(plan.retrieves for plan in _contestants(context)):
        return {}
    pairs = [(question.question_id, question.question) for question in questions]
    return find_contexts(context, pairs, indexed, modules=("rewriter", "filter"))[1]


def _answered(
    context: Context, plan: ArmPlan, questions: Sequence[Question], shown: Mapping[str, Sequence[str]]
) -> list[Score]:
    study = context.study
    shots = shot_chooser(context).choose(questions) if plan.shots else [NO_SHOTS] * len(questions)
    seed, adapter = next(iter(context.adapters(plan.adapter).items())) if plan.adapter else (None, None)
    chats = [
        answer_chat(
            study.answer.instructions,
            q.question,
            shown[q.question_id] if plan.retrieves else None,
            own.examples,
            contrasts=own.contrasts,
            form=prompt_form(study.answer),
        )
        for q, own in zip(questions, shots, strict=True)
    ]
    found = context.generate(
        chats, max_tokens=study.answer.max_tokens, label=f"checks: {plan.name}, after the update", adapter=adapter
    )
    return [
        Score(
            arm=plan.name,
            tuning_seed=seed,
            question_id=question.question_id,
            metric=STALE,
            value=float(states_old(done.text, question)) if isinstance(done, Completion) else None,
            reason=None if isinstance(done, Completion) else done.reason,
        )
        for question, done in zip(questions, found, strict=True)
    ]


def _refresh(context: Context, *, reading: float, indexing: float) -> dict[str, float]:
    """Seconds until each arm knows the new documents: measured here; questions and tuning as the study's own took."""
    results = context.results
    tuning = results["questions"].seconds + results["tune"].seconds
    return {
        plan.name: (plan.retrieves or plan.adapter is not None) * reading
        + plan.retrieves * indexing
        + (tuning if plan.adapter else 0.0)
        for plan in _contestants(context)
    }
