"""report: statistics and verdict, as report.json; the HTML is drawn from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.answer import verdict_scope
from fourfold.app.stages.checks import check_rows
from fourfold.app.stages.judge_rows import judge_rows
from fourfold.evals.report.build import Rows, build_report
from fourfold.evals.report.data import Report, StageShown
from fourfold.types import Answer, Latency, LeakedPair, Score

VERSION = 3


def make_report(context: Context) -> Report:
    """The report of the stages that stand in `context.results`."""
    return report_of(context, read_rows(context))


def read_rows(context: Context) -> Rows:
    """The rows of the stages that stand in `context.results`."""
    results = context.results
    return Rows(
        documents=context.documents,
        questions=context.questions("test"),
        leaked=context.store.read(LeakedPair, results["questions"].key),
        chunks=context.chunks,
        answers=context.store.read(Answer, results["answer"].key),
        scores=context.store.read(Score, results["score"].key),
        stages=[
            StageShown(
                name=name,
                key=result.key,
                seconds=result.seconds,
                created_at=result.created_at,
                summary=result.summary,
                provenance=result.provenance,
            )
            for name, result in results.items()
            if name != "report"
        ],
        latencies=context.store.read(Latency, results["latency"].key) if "latency" in results else (),
        judge=judge_rows(context),
        checks=check_rows(context),
    )


def report_of(context: Context, rows: Rows) -> Report:
    """The report of some rows, under the verdict rule that was frozen for the study."""
    rule = context.study.verdict.model_dump(mode="json")
    frozen = context.store.freeze(verdict_scope(context), rule)
    return build_report(context.study, rows, base=_base(context), frozen_rule_kept=frozen == rule)


def _base(context: Context) -> str:
    model = context.study.model
    if model.endpoint is not None:
        return f"{model.endpoint.model}, served by an OpenAI-compatible endpoint"
    rounding = "linear weights rounded to NF4 once, " if model.quantisation == "nf4" else ""
    return f"{context.weights.name}, {rounding}resident in {model.dtype}"


def _run(context: Context, _: Path | None) -> Outcome:
    report = make_report(context)
    summary = {"winner": report.verdict.winner, "outcome": report.verdict.outcome, "sentence": report.sentence}
    return Outcome(records=[], content=summary, summary=summary)


def _settings(context: Context) -> dict[str, Any]:
    study = context.study
    prices, verdict = (settings.model_dump(mode="json") for settings in (study.prices, study.verdict))
    return {"name": study.name, "verdict": verdict, "prices": prices}


STAGE = Stage(
    name="report",
    version=VERSION,
    settings=_settings,
    inputs=lambda context: {name: result.key for name, result in context.results.items() if name != "report"},
    run=_run,
    describe=lambda s: str(s["winner"] or s["outcome"]),
)
