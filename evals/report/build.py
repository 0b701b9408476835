"""Rows of the store → report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from fourfold.arms import ArmPlan, arms_of
from fourfold.evals.constraints import ConstraintCheck, arm_quantities, check_constraints, decide_within
from fourfold.evals.estimate import Estimate
from fourfold.evals.factorial import factorial
from fourfold.evals.known import other_documents
from fourfold.evals.price_sensitivity import price_sensitivity
from fourfold.evals.report.behaviour import describe_arms
from fourfold.evals.report.checks import CheckRows, check_caveats, show_checks
from fourfold.evals.report.costs import Costs, StageUse, find_break_even, measure_costs
from fourfold.evals.report.data import ArmSummary, Report, StageShown
from fourfold.evals.report.differences import compare_arms
from fourfold.evals.report.items import show_questions
from fourfold.evals.report.judge import JudgedStudy, JudgeRows, judge_caveats, show_judge
from fourfold.evals.report.question_caveats import question_caveats
from fourfold.evals.report.sentence import below_control, caveats, sentence
from fourfold.evals.report.strata import clusters_of_kind, not_recorded, summarise_strata
from fourfold.evals.report.table import UNSEEN, Table, cluster_questions, mean_in, scores_by_arm, scores_in
from fourfold.evals.seed_scores import Scores, on_each
from fourfold.evals.trade_off import pareto_front, weight_flips
from fourfold.evals.verdict import ArmResults, Verdict, wrong_where_failed
from fourfold.study import StudySettings
from fourfold.types import Answer, Chunk, Document, Latency, LeakedPair, Question, Score

REFUSAL = "refusal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Everything the report is made of."""

    documents: Sequence[Document]
    questions: Sequence[Question]
    leaked: Sequence[LeakedPair]
    chunks: Sequence[Chunk]
    answers: Sequence[Answer]
    scores: Sequence[Score]
    stages: Sequence[StageShown]
    latencies: Sequence[Latency] = ()
    judge: JudgeRows | None = None
    checks: CheckRows | None = None


def build_report(study: StudySettings, rows: Rows, *, base: str, frozen_rule_kept: bool) -> Report:
    """Statistics, verdict and per-question table.

    Args:
        study: the resolved study.
        rows: the rows of its results.
        base: the weights that every arm answers on, in words.
        frozen_rule_kept: whether the verdict rule is the one frozen before the first answer.
    """
    every_score = [*rows.scores, *(rows.judge.scores if rows.judge else ())]
    scores = scores_by_arm(every_score)
    # What nothing answers scores abstention alone. The verdict is on tuned documents; the others are transfer (rule 2).
    asked = [question for question in rows.questions if question.answerable is not False]
    unanswerable = [question for question in rows.questions if question.answerable is False]
    judged = [question for question in asked if question.stratum != UNSEEN]
    kind, clusters = cluster_questions(judged)
    answered = [answer for answer in rows.answers if answer.question_id in clusters]
    costs = measure_costs(study, answered, rows.latencies, _stage_use(rows.stages))
    checks = check_constraints(arm_quantities(costs.uses, costs.bills, costs.latency), study.verdict.constraints)
    judge = partial(_verdict, study, costs, scores, clusters, checks)
    verdict = judge(study.verdict.primary)
    quality, cost = _quality_and_cost(verdict, costs)
    crossing = find_break_even(
        study, costs, verdict.finished.qualified, answers=answered, latencies=rows.latencies, clusters=clusters
    )
    arms = tuple(_arm(study, plan, rows, scores, clusters) for plan in arms_of(study))
    differences, explained = compare_arms(study, scores, clusters)
    shared = other_documents(asked, rows.chunks)
    by_judge = None
    if rows.judge is not None:
        of = JudgedStudy(
            study=study, questions=asked, answers=rows.answers, chunks=rows.chunks, table=scores, clusters=clusters,
            cluster_kind=kind, shared=shared, winner_by=lambda metric: judge(metric).winner,
        )  # fmt: skip
        by_judge = show_judge(rows.judge, of)
    tuned = next((stage.summary for stage in rows.stages if stage.name == "tune"), None)
    of_adapter = show_checks(rows.checks, tuned, scores, clusters_of_kind(unanswerable, kind))
    return Report(
        study=study.name,
        base=base,
        sentence=sentence(
            verdict, arms, study, explained, reviewed=all(q.reference_source == "person" for q in judged)
        ),
        caveats=(
            *caveats(verdict, study, costs.ranking, frozen_rule_kept=frozen_rule_kept),
            *below_control(study.verdict.primary, explained),
            *question_caveats(judged, unanswerable),
            *(judge_caveats(by_judge) if by_judge else ()),
            *check_caveats(of_adapter),
        ),
        primary=study.verdict.primary,
        cluster_kind=kind,
        n_questions=len(judged),
        n_transfer=len(asked) - len(judged),
        verdict=verdict,
        arms=arms,
        differences=differences,
        explained=explained,
        behaviour=describe_arms(
            study,
            judged,
            rows.answers,
            scores,
            unanswerable=unanswerable,
            chunks=rows.chunks,
            clusters=clusters | clusters_of_kind(unanswerable, kind),
            shared=shared,
        ),
        costs=replace(costs, break_even=crossing),
        pareto=pareto_front(quality, cost) if quality else (),
        flips=weight_flips(quality, cost) if quality else (),
        by_metric=tuple((metric, judge(metric).winner) for metric in study.score.metrics),
        constraints=checks,
        price_sensitivity=price_sensitivity(
            verdict, costs.uses, study.prices, n_queries=study.verdict.n_queries, checks=checks
        ),
        factorial=factorial({arm: _of_primary(study, scores, arm, clusters) for arm in study.answer.arms}, clusters),
        strata=summarise_strata(study, asked, scores, cluster_kind=kind, shared=shared),
        not_recorded=not_recorded(asked),
        retrieval=_retrieval(study, scores, clusters),
        documents=tuple(rows.documents),
        leaked=tuple(rows.leaked),
        questions=show_questions(rows.questions, rows.answers, every_score, rows.chunks, rows.documents),
        stages=tuple(rows.stages),
        settings=study.model_dump(mode="json"),
        judge=by_judge,
        checks=of_adapter,
    )


def _stage_use(stages: Sequence[StageShown]) -> dict[str, StageUse]:
    return {stage.name: StageUse(seconds=stage.seconds, n_bytes=stage.summary.get("n_bytes", 0)) for stage in stages}


def _quality_and_cost(verdict: Verdict, costs: Costs) -> tuple[dict[str, float], dict[str, float]]:
    """Mean primary metric and cost a query of the arms that have both."""
    pairs = [(arm, mean.value, costs.ranking.values[arm]) for arm, mean in verdict.finished.means]
    known = [(arm, value, cost) for arm, value, cost in pairs if value is not None and cost is not None]
    return {arm: value for arm, value, _ in known}, {arm: cost for arm, _, cost in known}


def _verdict(
    study: StudySettings,
    costs: Costs,
    scores: Table,
    clusters: Mapping[str, str],
    checks: tuple[ConstraintCheck, ...],
    metric: str,
) -> Verdict:
    results = []
    for arm in study.answer.arms:
        # An arm that finished nothing costs nothing that was measured; it cannot win, having no score.
        cost = costs.ranking.values[arm] or 0.0
        results.append(ArmResults(arm=arm, scores=scores_in(scores[arm][metric], clusters), mean_cost=cost))
    return decide_within(results, clusters, checks, margin=study.verdict.margin)


def _tokens(answers: Sequence[Answer], arm: str, clusters: Mapping[str, str]) -> tuple[float | None, float | None]:
    done = [a for a in answers if a.arm == arm and a.text is not None and a.question_id in clusters]
    if not done:
        return None, None
    return fmean(a.n_prompt_tokens for a in done), fmean(a.n_answer_tokens for a in done)


def _of_primary(study: StudySettings, scores: Table, arm: str, clusters: Mapping[str, str]) -> Scores:
    return scores_in(scores[arm][study.verdict.primary], clusters)


def _arm(study: StudySettings, plan: ArmPlan, rows: Rows, scores: Table, clusters: Mapping[str, str]) -> ArmSummary:
    arm = plan.name
    own = [a for a in rows.answers if a.arm == arm and a.question_id in clusters]
    logprobs = [a.mean_logprob for a in own if a.mean_logprob is not None]
    prompt, answer = _tokens(rows.answers, arm, clusters)
    metrics: dict[str, Estimate] = {metric: mean_in(scores[arm][metric], clusters) for metric in study.score.metrics}
    counted: dict[str, Estimate] = {
        metric: mean_in(on_each(scores[arm][metric], wrong_where_failed), clusters) for metric in study.score.metrics
    }
    return ArmSummary(
        arm=arm,
        role=plan.role,
        n_seeds=len({a.tuning_seed for a in own}),
        metrics=metrics,
        failed_as_wrong=counted,
        refusals=mean_in(scores[arm][REFUSAL], clusters),
        n_failed=sum(a.text is None for a in own),
        n_cut_off=sum(a.finish_reason == "length" for a in own),
        prompt_tokens=prompt,
        answer_tokens=answer,
        mean_logprob=fmean(logprobs) if logprobs else None,
    )


def _retrieval(study: StudySettings, scores: Table, clusters: Mapping[str, str]) -> dict[str, Estimate]:
    # All arms that retrieve are given the same contexts.
    arm = next((plan.name for plan in arms_of(study) if plan.retrieves), None)
    if arm is None:
        return {}
    k = study.retrieval.k
    return {name: mean_in(scores[arm][name], clusters) for name in (f"recall@{k}", f"mrr@{k}", f"ndcg@{k}")}
