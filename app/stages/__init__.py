"""The composition of the stages, one file per stage; STAGES is their order."""

from __future__ import annotations

from fourfold.app.stages import (
    answer,
    checks,
    index,
    ingest,
    judge,
    latency,
    modules,
    questions,
    report,
    rubric,
    score,
    tune,
)

STAGES = (
    ingest.STAGE,
    questions.STAGE,
    index.STAGE,
    modules.STAGE,
    tune.STAGE,
    rubric.STAGE,
    answer.STAGE,
    checks.STAGE,
    latency.STAGE,
    judge.STAGE,
    score.STAGE,
    report.STAGE,
)
