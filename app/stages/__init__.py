"""The composition of the stages, one file per stage; STAGES is their order."""

from __future__ import annotations

from fourfold.app.stages import answer, index, ingest, latency, questions, report, score, tune

STAGES = (
    ingest.STAGE,
    questions.STAGE,
    index.STAGE,
    tune.STAGE,
    answer.STAGE,
    latency.STAGE,
    score.STAGE,
    report.STAGE,
)
