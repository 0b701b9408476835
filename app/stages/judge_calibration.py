"""The judge against a filled-in sheet, stored with the judge's identity."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.judge_models import Bench
from fourfold.app.pipeline import Outcome
from fourfold.app.stages.judge_answers import clusters_of, contestants
from fourfold.app.stages.rubric import judge_rule
from fourfold.evals.judge.calibration import JudgedAnswer, calibrate
from fourfold.evals.judge.panel import metric_of
from fourfold.evals.judge.sheet import read_labels, row_id
from fourfold.types import Score


def run_calibration(context: Context, _: Path | None, bench: Bench) -> Outcome:
    """Compare the scores with the sheet, criterion by criterion; one without a label is left out."""
    assert bench.settings.labels is not None
    answers = contestants(context)
    labels = read_labels(bench.settings.labels, answers, bench.settings.criteria)
    scores = {
        (row.arm, row.tuning_seed, row.question_id, row.metric): row.value
        for row in context.store.read(Score, context.results["judge"].key)
    }
    clusters = clusters_of(context)
    found = {}
    for criterion, values in labels.values.items():
        if not values:
            continue
        judged = [
            JudgedAnswer(
                arm=answer.arm,
                question_id=answer.question_id,
                cluster=clusters[answer.question_id],
                score=scores[answer.arm, answer.tuning_seed, answer.question_id, metric_of(criterion)],
                label=values.get(row_id(answer)),
            )
            for answer in answers
            if answer.question_id in clusters
        ]
        found[criterion] = asdict(calibrate(criterion, judged))
    summary = {"n_labels": sum(len(values) for values in labels.values.values()), "notes": list(labels.notes)}
    # With the judge's identity: the same labels say nothing of another one.
    return Outcome(records=[], content={"calibrations": found, "judge": panel_identity(bench)}, summary=summary)


def panel_identity(bench: Bench) -> dict[str, Any]:
    """Who judges and by what: models, quantisation, digest of every prompt."""
    return judge_rule(bench)
