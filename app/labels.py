"""A finished study's answers out on a blind sheet, and the sheet back in as the judge's calibration."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.pipeline import missing_stages
from fourfold.app.progress import Reporter
from fourfold.app.run import carry_out, lock, write_files
from fourfold.app.stages import STAGES
from fourfold.app.stages.judge_answers import clusters_of, contestants
from fourfold.app.stages.rubric import asked, passages
from fourfold.errors import QuestionError, StoreError, StudyError
from fourfold.evals.judge.guideline import render_guidelines
from fourfold.evals.judge.sheet import draw_answers, has_labels, read_labels, write_labels
from fourfold.evals.report.judge_data import JudgeSection
from fourfold.store import Store
from fourfold.study import Criterion, StudySettings
from fourfold.types import Guideline


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sheet that was written: its rows, of how many arms, and the criteria to label."""

    sheet: Path
    n_rows: int
    n_arms: int
    criteria: tuple[Criterion, ...]


def write_sample(  # noqa: PLR0913 (the command's options)
    study: StudySettings,
    runs: Path,
    *,
    cache: Path,
    reporter: Reporter,
    n_questions: int,
    seed: int,
    out: Path | None,
) -> Sample:
    """Write the sheet; beside it, where there are guidelines, guidelines.csv for review.

    Args:
        study: whose answers are there.
        runs: the working folder.
        cache: folder for converted weights.
        reporter: told of files that are gone.
        n_questions: questions to draw.
        seed: of the draw.
        out: the sheet; None: labels.csv in the study's results folder.

    Raises:
        StudyError: the study has no judge.
        StoreError: the answers are not there with these settings.
        QuestionError: no question was answered by every arm, or the sheet is there and has labels.
    """
    settings = study.judge
    if settings is None:
        raise _no_judge(study)
    sheet = out or runs / study.name / "labels.csv"
    if has_labels(sheet, settings.criteria):
        raise QuestionError(
            "the sheet has labels already, and would be written over",
            seen=sheet,
            expected="a new file",
            hint="name another one with --out, or go on with: fourfold judge calibrate STUDY SHEET",
        )
    with Store.open(runs) as store, lock(runs):
        context = Context(study=study, store=store, reporter=reporter, cache=cache)
        with closing(context):
            _require_answers(context)
            # Only these count: questions on documents that were not tuned on stand outside the verdict.
            counted = clusters_of(context)
            drawn = draw_answers(
                [answer for answer in contestants(context) if answer.question_id in counted],
                n_questions=n_questions, seed=seed,
            )  # fmt: skip
            questions = asked(context)
            text = write_labels(drawn, questions, passages(context, questions), settings.criteria)
            guidelines = store.read(Guideline, context.results["rubric"].key)
    if not drawn:
        raise QuestionError(
            "there is nothing to label",
            seen="no test question that every arm answered",
            expected="at least one",
            hint="look at the failed answers in the study's report",
        )
    # With a byte order mark, without which Excel takes UTF-8 for something else.
    files: dict[str, str | bytes] = {sheet.name: "\ufeff" + text}
    if guidelines:
        files["guidelines.csv"] = "\ufeff" + render_guidelines(guidelines)
    write_files(sheet.parent, files)
    return Sample(
        sheet=sheet, n_rows=len(drawn), n_arms=len({answer.arm for answer in drawn}), criteria=settings.criteria
    )


def calibrate_study(study: StudySettings, runs: Path, *, cache: Path, reporter: Reporter) -> JudgeSection:
    """Judge what is not judged yet, and compare with `judge.labels`; see `run_study`.

    The result is stored under the judge's identity (models, quantisation, digest of the prompts) and the sheet's.

    Raises:
        StudyError: the study has no judge.
        StoreError: the answers are not there with these settings: labels of other answers say nothing.
        QuestionError: the sheet cannot be used.
    """
    if study.judge is None:
        raise _no_judge(study)
    with Store.open(runs) as store, lock(runs):
        context = Context(study=study, store=store, reporter=reporter, cache=cache)
        with closing(context):
            _require_answers(context)
            if study.judge.labels is not None:
                # A slip in the sheet is told before the judging, not after it.
                read_labels(study.judge.labels, contestants(context), study.judge.criteria)
            done = carry_out(context)
    assert done.report is not None
    assert done.report.judge is not None
    return done.report.judge


def _require_answers(context: Context) -> None:
    upto = [stage.name for stage in STAGES].index("answer")
    missing = missing_stages(context, STAGES[: upto + 1])
    if missing:
        raise StoreError(
            "the study has no answers yet",
            seen=f"not carried out with these settings: {', '.join(missing)}",
            expected="the results of every stage up to answer in the working folder",
            hint="carry it out up to there first: fourfold answer STUDY",
        )


def _no_judge(study: StudySettings) -> StudyError:
    return StudyError(
        "the study has no judge",
        seen=f"{study.name}: no group 'judge'",
        expected="the group 'judge', which may be empty: judge: {}",
        hint="add it to the study file, or on the command line: judge.criteria=[correctness]",
    )
