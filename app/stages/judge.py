"""judge: every answer by every judge and criterion, each pass stored by itself; then one score out of them.

An arm's own contexts are never shown: the gold passage is the same for all, and gives no arm away (fairness rule 6).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.judge_models import Bench
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages.judge_answers import all_answers, answers_to_judge, judge_inputs
from fourfold.app.stages.judge_calibration import panel_identity, run_calibration
from fourfold.app.stages.judge_passes import (
    finished_passes,
    judgements_of,
    pass_name,
    run_criterion,
    run_debate,
    run_injection,
    run_pairs,
)
from fourfold.digest import digest_of, digest_of_file
from fourfold.evals.judge.panel import combined_scores, debates
from fourfold.evals.judge.prompts import prompts_digest
from fourfold.evals.judge.rubric import RUBRICS
from fourfold.study import Criterion
from fourfold.types import Guideline

VERSION = 1


def _combine(context: Context, _: Path | None, bench: Bench) -> Outcome:
    rows = combined_scores(
        bench.settings, judgements_of(context), all_answers(context), answers_to_judge(context).unjudged
    )
    n_failed = sum(row.value is None for row in rows)
    # For the report, which may be drawn where the judges are not any more.
    judges = [{"name": name, "identity": dict(bench.identity(n))} for n, name in enumerate(bench.names)]
    summary = {"n_judgements": len(rows), "n_failed": n_failed, "judges": judges}
    return Outcome(records=rows, content={}, summary=summary)


def _parts(context: Context) -> list[Stage]:
    if context.study.judge is None:
        return []
    bench = Bench(context, context.study.judge)
    settings, numbers = bench.settings, range(len(bench.names))
    passes = [
        _pass(bench, n, partial(run, bench=bench, number=n, criterion=criterion), criterion, what)
        for n in numbers
        for criterion in settings.criteria
        for run, what in ((run_criterion, ""), (run_injection, "injection"))
    ]
    paired = [_pass(bench, n, partial(run_pairs, bench=bench, number=n), None, "pairs") for n in numbers]
    second = [
        _pass(bench, n, partial(run_debate, bench=bench, number=n, criterion=criterion), criterion, "debate")
        for n in numbers
        for criterion in settings.criteria
    ]
    # One judge after the other, so that each is loaded once; in a debate, once more.
    first = sorted([*passes, *(paired if settings.pairwise else [])], key=lambda stage: int(stage.name.split("-")[1]))
    calibration = [_calibration(bench)] if settings.labels is not None else []
    return [*first, *(second if debates(settings) else []), _combined(bench), *calibration]


def _pass(bench: Bench, number: int, run: Any, criterion: Criterion | None, what: str) -> Stage:
    """What one judge does with all answers by itself: by one criterion, or side by side (None)."""
    settings = bench.settings

    def inputs(context: Context) -> dict[str, str]:
        found = judge_inputs(context)
        if criterion is not None and "guideline" in RUBRICS[criterion].shown:
            found["guidelines"] = digest_of(context.store.read(Guideline, context.results["rubric"].key))
        if what == "debate" and criterion is not None:
            names = [pass_name(n, criterion) for n in range(len(bench.names))]
            found |= {name: context.results[name].digest for name in names}
        return found

    return Stage(
        name=pass_name(number, f"{criterion or ''} {what}".strip()),
        version=VERSION,
        settings=lambda _: {
            "judge": dict(bench.identity(number)),
            "criterion": criterion,
            "repeats": settings.repeats if criterion else None,
            "prompts": prompts_digest([criterion] if criterion else [], repeats=settings.repeats),
            "passage_characters": settings.passage_characters,
            "max_tokens": settings.max_tokens,
        },
        inputs=inputs,
        run=run,
        describe=_tried if what == "injection" else _describe,
    )


def _combined(bench: Bench) -> Stage:
    return Stage(
        name="judge",
        version=VERSION,
        settings=lambda _: panel_identity(bench),
        inputs=lambda context: {
            **judge_inputs(context),
            **{name: context.results[name].digest for name in finished_passes(context)},
        },
        run=partial(_combine, bench=bench),
        describe=_describe,
    )


def _calibration(bench: Bench) -> Stage:
    labels = bench.settings.labels
    assert labels is not None
    return Stage(
        name="judge-calibration",
        version=VERSION,
        settings=lambda _: panel_identity(bench),
        inputs=lambda context: {
            **judge_inputs(context),
            "judge": context.results["judge"].digest,
            "labels": digest_of_file(labels) if labels.is_file() else "missing",
        },
        run=partial(run_calibration, bench=bench),
        describe=lambda s: f"{s['n_labels']} labels",
    )


def _tried(_: Any) -> str:
    return "text that asks for full marks was tried"


def _describe(summary: Any) -> str:
    return f"{summary['n_judgements']:,} judgements, {summary['n_failed']} failed"


STAGE = Stage(
    name="judge",
    version=VERSION,
    settings=lambda _: {},
    inputs=lambda _: {},
    run=lambda _context, _folder: Outcome(records=[], content={}, summary={}),
    parts=_parts,
)
