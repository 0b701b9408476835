"""memory: filled from the tuning questions, its trigger calibrated, frozen and hashed before the test (rule 5)."""

from __future__ import annotations

import dataclasses
import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.retrieved import MEMORY_FILE, has_module, memory_in, open_path, path_inputs
from fourfold.digest import digest_of
from fourfold.evals.retrieval_metrics import score_retrieval
from fourfold.retrieval.modules.labels import COVER, covered_share
from fourfold.retrieval.modules.memory import Memory
from fourfold.retrieval.modules.memory_file import MemoryFile
from fourfold.retrieval.modules.pipeline import RetrievalPath
from fourfold.retrieval.modules.trigger import Trigger
from fourfold.retrieval.modules.trigger_calibration import CalibrationQuestion, TriggerCurve, calibrate_trigger
from fourfold.types import Chunk, Question


def _run(context: Context, folder: Path | None) -> Outcome:
    assert folder is not None
    settings = context.study.retrieval.memory
    assert settings is not None
    questions = context.questions("tuning")
    curve: TriggerCurve | None = None
    with open_path(context, modules=("rewriter", "filter")) as path:
        if settings.trigger.max_recall_loss is not None:
            curve = _calibrate(context, path, questions, max_loss=settings.trigger.max_recall_loss)
        with MemoryFile.open(folder / MEMORY_FILE) as file:
            memory = memory_in(context, file, Trigger())
            n_failures = _fill(path, memory, questions)
            n_held, n_titles = len(memory.reservoir.items()), len(memory.reservoir.titles())
            digest = file.freeze()
    point = curve.chosen if curve is not None else settings.trigger
    return Outcome(
        records=[],
        content={"memory": digest, "tau": point.tau, "theta": point.theta},
        summary={
            "n_questions": len(questions),
            "n_passages": n_held,
            "n_titles": n_titles,
            "n_failures": n_failures,
            "curve": None if curve is None else dataclasses.asdict(curve),
        },
    )


def _fill(path: RetrievalPath, memory: Memory, questions: Sequence[Question]) -> int:
    """Write back what the path shows for some questions; how many modules failed on the way."""
    found = dataclasses.replace(path, memory=memory).find(
        [(question.question_id, question.question) for question in questions], fill_at=dt.datetime.now(dt.UTC)
    )
    return sum(len(trace.failures) for trace in found.traces)


def _calibrate(
    context: Context, path: RetrievalPath, questions: Sequence[Question], *, max_loss: float
) -> TriggerCurve:
    """Choose tau and theta on every second tuning question, against a memory filled from the others."""
    chunks = {chunk.chunk_id: chunk for chunk in context.chunks}
    with tempfile.TemporaryDirectory() as scratch, MemoryFile.open(Path(scratch) / MEMORY_FILE) as file:
        memory = memory_in(context, file, Trigger())
        _fill(path, memory, questions[::2])
        items = [_item(path, memory, question, chunks) for question in questions[1::2]]
    return calibrate_trigger(items, k=path.k, max_loss=max_loss)


def _item(path: RetrievalPath, memory: Memory, question: Question, chunks: Mapping[str, Chunk]) -> CalibrationQuestion:
    """One question's queries against memory and index."""
    # One at a time: rewritten questions stand in the store, and a search of few queries is short.
    (one,) = path.rewrite([question.question])
    titles, cosines = memory.cosines(one.queries)
    held = memory.reservoir.read(titles)
    found: dict[str, list[Chunk]] = {query: [] for query in one.queries}
    for row in path.search([(query, query) for query in one.queries], path.k):
        found[row.question_id].append(chunks[row.chunk_id])
    gold = [any(covered_share(question, chunks[item.chunk_id]) >= COVER for item in held[title]) for title in titles]
    return CalibrationQuestion(
        cosines=cosines,
        gold=np.array(gold, dtype=np.bool_),
        found=np.array([score_retrieval(question, own, k=path.k).recall > 0 for own in found.values()]),
    )


def _settings(context: Context) -> dict[str, Any]:
    return {"retrieval": context.study.retrieval.model_dump(mode="json"), "model": context.model_identity}


STAGE = Stage(
    name="memory",
    version=1,
    settings=_settings,
    inputs=lambda context: {
        "tuning questions": digest_of(context.questions("tuning")),
        "index": context.results["index"].digest,
        **path_inputs(context, ("rewriter", "filter")),
    },
    run=_run,
    blob="discard",
    needed=lambda context: has_module(context.study, "memory"),
    describe=lambda s: f"{s['n_passages']} passages under {s['n_titles']} titles from {s['n_questions']} questions",
)
