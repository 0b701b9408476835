"""A sweep: every point of a grid on the validation questions, the test questions for each arm's chosen point alone.

Points share one store, so that what two of them have in common is carried out once. All are indexed before the first
is tuned: a mistake that only the corpus can show (k over the number of chunks) must not cost a point's work.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fourfold.app.check import check_study
from fourfold.app.context import Context
from fourfold.app.grid import Point, load_points
from fourfold.app.pipeline import run_stages
from fourfold.app.progress import Reporter
from fourfold.app.run import lock, write_files
from fourfold.app.stages import answer, index, ingest, modules, questions, score, tune, validation
from fourfold.app.stages.report import read_rows, report_of
from fourfold.arms import ArmPlan, adapter_names, arms_of
from fourfold.digest import digest_of
from fourfold.errors import FourfoldError, QuestionError, StudyError, raise_all
from fourfold.evals.report.data import Report
from fourfold.evals.report.sweep import PointShown, SweepReport, build_sweep_report
from fourfold.evals.selection import Choice, Trial, choose, judge
from fourfold.retrieval.index import require_k
from fourfold.store import Result, Store
from fourfold.study import StudySettings
from fourfold.types import ARMS, Answer, Chunk, Score

Results = Mapping[str, Result]
# No swept setting changes the first.
_SHARED = (ingest.STAGE, questions.STAGE)
_VALIDATED = (modules.STAGE, tune.STAGE, validation.ANSWER, validation.SCORE)
_TESTED = (modules.STAGE, tune.STAGE, answer.STAGE, score.STAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep gave."""

    n_stages_run: int
    report: SweepReport
    folder: Path


def plan_sweep(
    path: Path, arguments: Sequence[str], runs: Path, *, cache: Path
) -> tuple[tuple[Point, ...], list[FourfoldError]]:
    """The grid's points, and everything that can be known to be wrong with any of them, each mistake once.

    Args:
        path: the study file.
        arguments: `section.key=value,value`, see `fourfold.app.grid`.
        runs: the working folder.
        cache: folder for converted weights.
    """
    points, problems = load_points(path, arguments)
    if any(point.study.questions.n_validation == 0 for point in points):
        problems.append(
            StudyError(
                "a sweep has no questions to choose by",
                seen="questions.n_validation = 0",
                expected="validation questions: test questions must not choose what they judge",
                hint="set questions.n_validation, for example to 30 or more",
            )
        )
    problems += _cannot_be_swept(points)
    for point in points:
        problems += [f.problem for f in check_study(point.study, runs, cache=cache) if f.problem is not None]
    return points, list({str(problem): problem for problem in problems}.values())


def _cannot_be_swept(points: Sequence[Point]) -> list[FourfoldError]:
    """What only a single study can have."""
    problems: list[FourfoldError] = []
    if any(point.study.model.endpoint is not None and adapter_names(point.study) for point in points):
        problems.append(
            StudyError(
                "a sweep cannot have its adapters served",
                seen="model.endpoint and arms with an adapter: each point tunes one, the server has one under the name",
                expected="the model in this process, or arms without an adapter",
                hint="leave model.endpoint out, or name other arms in answer.arms",
            )
        )
    if any(point.study.verdict.constraints.max_p95_seconds is not None for point in points):
        problems.append(
            StudyError(
                "a sweep measures no seconds",
                seen="verdict.constraints.max_p95_seconds is set",
                expected="no limit on seconds: no arm would be shown to keep it",
                hint="leave it out, and measure the chosen settings in a study of their own",
            )
        )
    return problems


def run_sweep(points: Sequence[Point], runs: Path, *, cache: Path, reporter: Reporter) -> Swept:
    """Carry out what is not in the store yet; see `carry_out_sweep`."""
    with Store.open(runs) as store, lock(runs):
        context = Context(study=points[0].study, store=store, reporter=reporter, cache=cache)
        with closing(context):
            return carry_out_sweep(context, points)


def carry_out_sweep(context: Context, points: Sequence[Point]) -> Swept:
    """Try every point, choose one for each arm, and test it.

    Every stage's result stands in the store and `sweep.json` holds each point's study and keys; no point counts as a
    run of the study, having no report of its own.

    Args:
        context: an open store and the models; the study in it is replaced.
        points: of one grid.

    Raises:
        FourfoldError: see the stages.
    """
    # Made here, loaded at first use: the copies of this context for each point share them.
    _ = context.student, context.engine, context.embedder
    n_run, prepared = _prepare(context, points)
    trials: list[Trial] = []
    shown: list[PointShown] = []
    for point in points:
        context.reporter.say(f"point {point.number}/{len(points)}: {' '.join(point.changes)}")
        context = _at(context, _contestants(point.study), prepared[point.number])
        n_run += run_stages(context, _VALIDATED)
        trials += _trials(context, point)
        settings = point.study.model_dump(mode="json")
        shown.append(PointShown(number=point.number, changes=point.changes, settings=settings, results=_keys(context)))
    n_validation = len(context.questions("validation"))
    choices = choose(trials)
    tested: dict[int, Context] = {}
    for point in points:
        if arms := [choice.arm for choice in choices if choice.point == point.number]:
            context.reporter.say(f"test, point {point.number}: {', '.join(arms)}")
            context = tested[point.number] = _at(context, _with_arms(point.study, arms), prepared[point.number])
            n_run += run_stages(context, _TESTED)
    report = build_sweep_report(
        _report(tested, choices), shown, trials, choices,
        n_validation=n_validation, tested={number: _keys(at) for number, at in tested.items()},
    )  # fmt: skip
    as_json = json.dumps(dataclasses.asdict(report), indent=1, ensure_ascii=False, allow_nan=False)
    folder = write_files(context.store.folder / context.study.name, {"sweep.json": as_json + "\n"})
    return Swept(n_stages_run=n_run, report=report, folder=folder)


def _prepare(context: Context, points: Sequence[Point]) -> tuple[int, dict[int, Results]]:
    """Documents, questions and every index, with all that is wrong told together; results by number of the point."""
    context.study, context.results = points[0].study, {}
    n_run = run_stages(context, _SHARED)
    if not context.questions("validation"):
        raise QuestionError(
            "a sweep has no questions to choose by",
            seen="every generated question was needed for tuning, or was refused",
            expected="at least one validation question",
            hint="raise questions.candidates_per_question, or lower questions.n_tuning",
        )
    shared = dict(context.results)
    prepared: dict[int, Results] = {}
    problems: dict[str, FourfoldError] = {}
    for point in points:
        own = _at(context, point.study, shared)
        try:
            n_run += run_stages(own, (index.STAGE,))
            require_k(point.study.retrieval.k, len(own.chunks))
        except StudyError as error:
            problems.setdefault(str(error), error)
        prepared[point.number] = own.results
    raise_all(list(problems.values()))
    return n_run, prepared


def _at(context: Context, study: StudySettings, results: Results) -> Context:
    """The same store and loaded models for another study: no swept setting changes which models those are."""
    other = copy.copy(context)
    other.study, other.results = study, dict(results)
    return other


def _contestants(study: StudySettings) -> StudySettings:
    """A point as it is tried: nothing is chosen by a control or a diagnostic, nor by a judge, nor by seconds."""
    tuning = study.tuning.model_copy(update={"control": None, "single_forms": False})
    latency = study.latency.model_copy(update={"enabled": False})
    return study.model_copy(update={"tuning": tuning, "latency": latency, "judge": None})


def _with_arms(study: StudySettings, arms: Sequence[str]) -> StudySettings:
    """A point as it is tested: the arms that it was chosen for, each tuned one with its format control."""
    tuning = study.tuning.model_copy(update={"single_forms": False})
    own = study.answer.model_copy(update={"arms": tuple(arm for arm in ARMS if arm in arms)})
    return _contestants(study).model_copy(update={"tuning": tuning, "answer": own})


def _trials(context: Context, point: Point) -> list[Trial]:
    answers = context.store.read(Answer, context.results[validation.ANSWER.name].key)
    scores = context.store.read(Score, context.results[validation.SCORE.name].key)
    asked = context.questions("validation")
    return [
        judge(
            plan.name, asked, answers, scores,
            metric=context.study.verdict.primary, place=(point.number, _configuration(context.study, plan)),
        )
        for plan in arms_of(context.study)
    ]  # fmt: skip


def _configuration(study: StudySettings, plan: ArmPlan) -> str:
    """What of the swept settings an arm depends on; tuning rows hold retrieved contexts."""
    uses: list[object] = []
    if plan.retrieves or plan.adapter:
        uses += [study.index.model_dump(mode="json"), study.retrieval.model_dump(mode="json")]
    if plan.adapter:
        uses.append(study.tuning.model_dump(mode="json"))
    if plan.shots:
        uses += [study.answer.n_shots, study.answer.shots_seed]
    return digest_of(uses)


def _report(tested: Mapping[int, Context], choices: Sequence[Choice]) -> Report:
    """One report over the rows of every chosen point, each arm from its own."""
    # Retrieval is summed up for the first arm that retrieves, so the study shown must be its own.
    plans: dict[str, ArmPlan] = {plan.name: plan for context in tested.values() for plan in arms_of(context.study)}
    retrieving = [choice for choice in choices if plans[choice.arm].retrieves]
    first = tested[(retrieving or list(choices))[0].point]
    context = copy.copy(first)
    context.study = _with_arms(first.study, [choice.arm for choice in choices])
    parts = [read_rows(own) for own in tested.values()]
    order = {plan.name: place for place, plan in enumerate(arms_of(context.study))}
    chunks: dict[str, Chunk] = {chunk.chunk_id: chunk for part in parts for chunk in part.chunks}
    rows = dataclasses.replace(
        read_rows(first),
        chunks=tuple(chunks.values()),
        answers=sorted((row for part in parts for row in part.answers), key=lambda row: order[row.arm]),
        scores=sorted((row for part in parts for row in part.scores), key=lambda row: order[row.arm]),
        stages=tuple({stage.key: stage for part in parts for stage in part.stages}.values()),
    )
    return report_of(context, rows)


def _keys(context: Context) -> dict[str, str]:
    return {name: result.key for name, result in context.results.items()}
