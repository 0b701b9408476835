"""What the judge's stages left, as the report takes it."""

from __future__ import annotations

from pydantic import TypeAdapter

from fourfold.app.context import Context
from fourfold.app.stages.judge_passes import judgements_of, pass_name
from fourfold.evals.estimate import Estimate
from fourfold.evals.judge.calibration import Calibration
from fourfold.evals.judge.family import same_family
from fourfold.evals.report.judge import JudgeRows
from fourfold.evals.report.judge_data import JudgeShown
from fourfold.types import Guideline, Preference, Score

_CALIBRATIONS = TypeAdapter(dict[str, Calibration])
_SHIFT = TypeAdapter(Estimate)


def judge_rows(context: Context) -> JudgeRows | None:
    """What the report shows of the judge; None where the study has none."""
    settings = context.study.judge
    if settings is None:
        return None
    store, results = context.store, context.results
    judges = results["judge"].summary["judges"]
    served = context.study.model.endpoint
    student = context.weights.name if served is None else served.model
    calibration = results.get("judge-calibration")
    shifts: dict[str, list[Estimate]] = {
        criterion: [
            _SHIFT.validate_python(results[pass_name(number, f"{criterion} injection")].summary["content"]["shift"])
            for number in range(len(judges))
        ]
        for criterion in settings.criteria
    }
    pairs = [pass_name(number, "pairs") for number in range(len(judges))]
    return JudgeRows(
        judges=tuple(
            JudgeShown(name=one["name"], identity=one["identity"], same_family=same_family(one["name"], student))
            for one in judges
        ),
        frozen_before_answers=bool(results["rubric"].summary["frozen_before_answers"]),
        scores=store.read(Score, results["judge"].key),
        judgements=judgements_of(context),
        guidelines=store.read(Guideline, results["rubric"].key),
        preferences=[row for name in pairs if name in results for row in store.read(Preference, results[name].key)],
        calibrations=_CALIBRATIONS.validate_python(calibration.summary["content"]["calibrations"])
        if calibration
        else {},
        shifts=shifts,
        notes=tuple(calibration.summary["notes"]) if calibration else (),
    )
