"""The judge's part of the report: its scores, each marked with its standing, and what it said of each answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from fourfold.arms import arms_of
from fourfold.evals.attribution import ClassCount
from fourfold.evals.estimate import Estimate
from fourfold.evals.judge.bradley_terry import strengths
from fourfold.evals.judge.calibration import Calibration
from fourfold.evals.judge.gate import decide_standing
from fourfold.evals.judge.pairwise import pair_bias, settle, win_rates
from fourfold.evals.judge.panel import agreement_of, last_round, metric_of, said_by, severity_of
from fourfold.evals.judge.rubric import RIGHT_FROM, RUBRICS
from fourfold.evals.report.behaviour import describe_arms
from fourfold.evals.report.differences import compare_arms
from fourfold.evals.report.judge_data import (
    CriterionShown,
    JudgedArm,
    JudgedDifference,
    JudgedStratum,
    JudgeSection,
    JudgeShown,
    SaidOfAnswer,
)
from fourfold.evals.report.strata import summarise_strata
from fourfold.evals.report.table import Table, mean_in
from fourfold.evals.seed_scores import Scores, on_each
from fourfold.evals.verdict import wrong_where_failed
from fourfold.study import Criterion, JudgeSettings, StudySettings
from fourfold.types import Answer, Chunk, Guideline, Judgement, Preference, Question, Score

_SAID = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRows:
    """What the judge's stages left.

    `calibrations` are by criterion; `shifts` too, one per judge. `notes` are on the labels.
    """

    judges: Sequence[JudgeShown]
    frozen_before_answers: bool
    scores: Sequence[Score]
    judgements: Sequence[Judgement]
    guidelines: Sequence[Guideline]
    preferences: Sequence[Preference]
    calibrations: Mapping[str, Calibration]
    shifts: Mapping[str, Sequence[Estimate]]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedStudy:
    """What of the report's rows the judge's part is made of beside its own.

    Args:
        study: the resolved study.
        questions: those that the verdict rests on, and beside them those on unseen documents.
        answers: of all arms and seeds.
        chunks: of the index.
        table: every metric's scores, the judge's too.
        clusters: cluster per question id, of the verdict's questions.
        cluster_kind: "document" or "section".
        shared: per question id, the other documents that hold its fact.
        winner_by: the winner that the verdict's rule names on a metric.
    """

    study: StudySettings
    questions: Sequence[Question]
    answers: Sequence[Answer]
    chunks: Sequence[Chunk]
    table: Table
    clusters: Mapping[str, str]
    cluster_kind: str
    shared: Mapping[str, tuple[str, ...]]
    winner_by: Callable[[str], str | None]


def show_judge(rows: JudgeRows, of: JudgedStudy) -> JudgeSection:
    """Statistics of the judge's scores by the same means as of every metric."""
    settings = of.study.judge
    assert settings is not None
    arms = of.study.answer.arms
    settled = settle(rows.preferences)
    texts: dict[tuple[str, str], str] = {
        (a.arm, a.question_id): a.text for a in reversed(of.answers) if a.text is not None
    }
    return JudgeSection(
        judges=tuple(rows.judges),
        frozen_before_answers=rows.frozen_before_answers,
        criteria=tuple(_criterion(criterion, settings, rows, of) for criterion in settings.criteria),
        wins=win_rates(settled, arms, of.clusters) if rows.preferences else (),
        strengths=strengths(settled, arms, of.clusters) if rows.preferences else (),
        bias=pair_bias(rows.preferences, texts, of.clusters),
        guidelines={one.question_id: one.text or f"none: {one.failure}" for one in rows.guidelines},
        said=_said(rows.judgements),
        notes=tuple(rows.notes),
    )


def judge_caveats(section: JudgeSection) -> tuple[str, ...]:
    """What must be read with the verdict."""
    found = []
    unreliable = [shown.criterion for shown in section.criteria if not shown.standing.relied_on]
    if unreliable:
        found.append(f"The judge's scores ({', '.join(unreliable)}) are not relied on: reference metrics decide.")
    if not section.frozen_before_answers:
        found.append("The judge's rubric was not frozen before the first answer: read its scores as exploratory.")
    kin = [judge.name for judge in section.judges if judge.same_family]
    if kin:
        found.append(f"Judge and student are of one family ({', '.join(kin)}): such a judge favours its own.")
    return tuple(found)


def _criterion(criterion: Criterion, settings: JudgeSettings, rows: JudgeRows, of: JudgedStudy) -> CriterionShown:
    metric, calibration = metric_of(criterion), rows.calibrations.get(criterion)
    threshold = calibration.threshold if calibration else RIGHT_FROM
    shift = _largest(rows.shifts.get(criterion, ()))
    said = said_by(rows.judgements, criterion, from_repeat=last_round(settings))
    masses = [one.mass for one in rows.judgements if one.criterion == criterion and one.mass is not None]
    # The rest of the report takes its metric from the study.
    study = of.study.model_copy(
        update={
            "score": of.study.score.model_copy(update={"metrics": (metric,)}),
            "verdict": of.study.verdict.model_copy(update={"primary": metric}),
        }
    )
    right = _called_right(of.table, metric, threshold)
    differences, explained = compare_arms(study, of.table, of.clusters)
    strata = summarise_strata(study, of.questions, right, cluster_kind=of.cluster_kind, shared=of.shared)
    return CriterionShown(
        criterion=criterion,
        standing=decide_standing(criterion, calibration, shift, margin=of.study.verdict.margin),
        threshold=threshold,
        arms=tuple(_arm(plan.name, metric, of, right, calibration) for plan in arms_of(of.study)),
        differences=tuple(
            JudgedDifference(a=d.a, b=d.b, paired=d.paired, p_adjusted=d.p_adjusted) for d in (*differences, *explained)
        ),
        winner=of.winner_by(metric),
        strata=tuple(JudgedStratum(group=s.group, stratum=s.stratum, arm=s.arm, estimate=s.estimate) for s in strata),
        failures=_failures(study, rows, of, right, metric),
        agreement=agreement_of(said),
        severity=severity_of(said, RUBRICS[criterion]) if settings.severity else None,
        mass=fmean(masses) if masses else None,
        shift=shift,
        calibration=calibration,
    )


def _largest(shifts: Sequence[Estimate]) -> Estimate | None:
    """One that is not known is the worst."""
    return max(shifts, key=lambda shift: float("inf") if shift.value is None else shift.value, default=None)


def _called_right(table: Table, metric: str, threshold: float) -> Table:
    """The table with the judge's scores as right (1) or wrong (0)."""

    def cut(scores: Scores) -> Scores:
        return {question: None if value is None else float(value >= threshold) for question, value in scores.items()}

    return {arm: {**own, metric: on_each(own[metric], cut)} for arm, own in table.items()}


def _arm(arm: str, metric: str, of: JudgedStudy, right: Table, calibration: Calibration | None) -> JudgedArm:
    scores = of.table[arm][metric]
    corrected = {one.arm: one.corrected for one in calibration.arms} if calibration else {}
    return JudgedArm(
        arm=arm,
        mean=mean_in(scores, of.clusters),
        failed_as_wrong=mean_in(on_each(scores, wrong_where_failed), of.clusters),
        corrected=corrected.get(arm),
        right=mean_in(right[arm][metric], of.clusters),
        n_failed=sum(scores[question] is None for question in of.clusters),
    )


def _failures(
    study: StudySettings, rows: JudgeRows, of: JudgedStudy, right: Table, metric: str
) -> tuple[tuple[ClassCount, ...], ...]:
    """The mechanical classes, right and wrong by the judge; an answer that it failed on is a system failure."""
    why = {(row.arm, row.tuning_seed, row.question_id): row.reason for row in rows.scores if row.metric == metric}
    answers = [
        replace(answer, failure=answer.failure or why[answer.arm, answer.tuning_seed, answer.question_id])
        for answer in of.answers
        if answer.question_id in of.clusters
    ]
    questions = [question for question in of.questions if question.question_id in of.clusters]
    found = describe_arms(
        study, questions, answers, right,
        unanswerable=(), chunks=of.chunks, clusters=of.clusters, shared=of.shared,
    )  # fmt: skip
    return tuple(one.failures for one in found)


def _said(judgements: Sequence[Judgement]) -> dict[str, tuple[SaidOfAnswer, ...]]:
    found: dict[str, list[SaidOfAnswer]] = {}
    for one in judgements:
        if one.repeat == 0:
            found.setdefault(one.question_id, []).append(
                SaidOfAnswer(
                    arm=one.arm, tuning_seed=one.tuning_seed, criterion=one.criterion, judge=one.judge,
                    value=one.value, said=_words(one),
                )
            )  # fmt: skip
    return {question_id: tuple(said) for question_id, said in found.items()}


def _words(one: Judgement) -> str:
    if one.failure is not None:
        return f"failed: {one.failure}"[:_SAID]
    if one.probabilities:
        levels = [level for rubric in RUBRICS.values() if rubric.criterion == one.criterion for level in rubric.levels]
        names = [level.name.partition(":")[0] for level in levels]
        return ", ".join(f"{name} {p:.2f}" for name, p in zip(names, one.probabilities, strict=True))
    return (one.reason or "no reason given")[:_SAID]
