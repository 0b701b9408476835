"""Rows of the store → report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean

from fourfold.arms import CONTROL_OF, PLANS, ArmPlan, arms_of
from fourfold.evals.clusters import SECTION_SEPARATOR, choose_clusters
from fourfold.evals.compare import paired_difference
from fourfold.evals.estimate import Estimate
from fourfold.evals.factorial import factorial
from fourfold.evals.known import known_closed_book, other_documents
from fourfold.evals.report.behaviour import RIGHT_FROM, describe_arms
from fourfold.evals.report.costs import Costs, StageUse, find_break_even, measure_costs
from fourfold.evals.report.data import ArmDifference, ArmSummary, Report, StageShown, StratumSummary
from fourfold.evals.report.items import show_questions
from fourfold.evals.report.sentence import caveats, sentence
from fourfold.evals.seed_scores import Scores, SeedScores, on_each, scores_mean
from fourfold.evals.trade_off import pareto_front, weight_flips
from fourfold.evals.verdict import ArmResults, Verdict, decide, wrong_where_failed
from fourfold.study import StudySettings
from fourfold.types import Answer, Chunk, Document, Latency, LeakedPair, Question, Score

UNSEEN = "document unseen"
REFUSAL = "refusal"

# Per arm and metric: score per question id, None for a failed item.
Table = Mapping[str, Mapping[str, Scores]]


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


def build_report(study: StudySettings, rows: Rows, *, base: str, frozen_rule_kept: bool) -> Report:
    """Statistics, verdict and per-question table.

    Args:
        study: the resolved study.
        rows: the rows of its results.
        base: the weights that every arm answers on, in words.
        frozen_rule_kept: whether the verdict rule is the one frozen before the first answer.
    """
    scores = _by_arm(rows.scores)
    # The verdict is on tuned documents; the others are transfer (fairness rule 2).
    judged = [question for question in rows.questions if question.stratum != UNSEEN]
    kind, clusters = _clusters(judged)
    answered = [answer for answer in rows.answers if answer.question_id in clusters]
    costs = measure_costs(study, answered, rows.latencies, _stage_use(rows.stages))
    verdict = _verdict(study, costs, scores, clusters, study.verdict.primary)
    quality, cost = _quality_and_cost(verdict, costs)
    crossing = find_break_even(
        study, costs, verdict.finished.qualified, answers=answered, latencies=rows.latencies, clusters=clusters
    )
    arms = tuple(_arm(study, plan, rows, scores, clusters) for plan in arms_of(study))
    explained = _explained(study, scores, clusters)
    shared = other_documents(rows.questions, rows.chunks)
    return Report(
        study=study.name,
        base=base,
        sentence=sentence(verdict, arms, study, explained),
        caveats=caveats(verdict, study, costs.ranking, frozen_rule_kept=frozen_rule_kept),
        primary=study.verdict.primary,
        cluster_kind=kind,
        n_questions=len(judged),
        n_transfer=len(rows.questions) - len(judged),
        verdict=verdict,
        arms=arms,
        differences=_differences(study, scores, clusters),
        explained=explained,
        behaviour=describe_arms(study, judged, answered, scores, chunks=rows.chunks, clusters=clusters, shared=shared),
        costs=replace(costs, break_even=crossing),
        pareto=pareto_front(quality, cost) if quality else (),
        flips=weight_flips(quality, cost) if quality else (),
        by_metric=tuple(
            (metric, _verdict(study, costs, scores, clusters, metric).winner) for metric in study.score.metrics
        ),
        factorial=factorial({arm: _of_primary(study, scores, arm, clusters) for arm in study.answer.arms}, clusters),
        strata=_strata(study, rows.questions, scores, kind, shared),
        retrieval=_retrieval(study, scores, clusters),
        documents=tuple(rows.documents),
        leaked=tuple(rows.leaked),
        questions=show_questions(rows.questions, rows.answers, rows.scores, rows.chunks, rows.documents),
        stages=tuple(rows.stages),
        settings=study.model_dump(mode="json"),
    )


def _by_arm(scores: Sequence[Score]) -> Table:
    runs: dict[tuple[str, str], dict[int | None, dict[str, float | None]]] = {}
    for score in scores:
        own = runs.setdefault((score.arm, score.metric), {})
        own.setdefault(score.tuning_seed, {})[score.question_id] = score.value
    table: dict[str, dict[str, Scores]] = {}
    for (arm, metric), by_seed in runs.items():
        only, *more = by_seed.values()
        table.setdefault(arm, {})[metric] = SeedScores([only, *more]) if more else only
    return table


def _clusters(questions: Sequence[Question]) -> tuple[str, dict[str, str]]:
    kind, names = choose_clusters([q.doc_id for q in questions], [" › ".join(q.section) for q in questions])
    return kind, {question.question_id: name for question, name in zip(questions, names, strict=True)}


def _stage_use(stages: Sequence[StageShown]) -> dict[str, StageUse]:
    return {stage.name: StageUse(seconds=stage.seconds, n_bytes=stage.summary.get("n_bytes", 0)) for stage in stages}


def _quality_and_cost(verdict: Verdict, costs: Costs) -> tuple[dict[str, float], dict[str, float]]:
    """Mean primary metric and cost a query of the arms that have both."""
    pairs = [(arm, mean.value, costs.ranking.values[arm]) for arm, mean in verdict.finished.means]
    known = [(arm, value, cost) for arm, value, cost in pairs if value is not None and cost is not None]
    return {arm: value for arm, value, _ in known}, {arm: cost for arm, _, cost in known}


def _verdict(study: StudySettings, costs: Costs, scores: Table, clusters: Mapping[str, str], metric: str) -> Verdict:
    results = []
    for arm in study.answer.arms:
        # An arm that finished nothing costs nothing that was measured; it cannot win, having no score.
        cost = costs.ranking.values[arm] or 0.0
        results.append(ArmResults(arm=arm, scores=_of(scores[arm][metric], clusters), mean_cost=cost))
    return decide(results, clusters, margin=study.verdict.margin)


def _tokens(answers: Sequence[Answer], arm: str, clusters: Mapping[str, str]) -> tuple[float | None, float | None]:
    done = [a for a in answers if a.arm == arm and a.text is not None and a.question_id in clusters]
    if not done:
        return None, None
    return fmean(a.n_prompt_tokens for a in done), fmean(a.n_answer_tokens for a in done)


def _of_primary(study: StudySettings, scores: Table, arm: str, clusters: Mapping[str, str]) -> Scores:
    return _of(scores[arm][study.verdict.primary], clusters)


def _of(scores: Scores, clusters: Mapping[str, str]) -> Scores:
    """The scores of the questions that have a cluster here."""
    return on_each(scores, lambda run: {question: run[question] for question in clusters})


def _arm(study: StudySettings, plan: ArmPlan, rows: Rows, scores: Table, clusters: Mapping[str, str]) -> ArmSummary:
    arm = plan.name
    own = [a for a in rows.answers if a.arm == arm and a.question_id in clusters]
    logprobs = [a.mean_logprob for a in own if a.mean_logprob is not None]
    prompt, answer = _tokens(rows.answers, arm, clusters)
    metrics: dict[str, Estimate] = {metric: _mean(scores[arm][metric], clusters) for metric in study.score.metrics}
    counted: dict[str, Estimate] = {
        metric: _mean(on_each(scores[arm][metric], wrong_where_failed), clusters) for metric in study.score.metrics
    }
    return ArmSummary(
        arm=arm,
        role=plan.role,
        n_seeds=len({a.tuning_seed for a in own}),
        metrics=metrics,
        failed_as_wrong=counted,
        refusals=_mean(scores[arm][REFUSAL], clusters),
        n_failed=sum(a.text is None for a in own),
        n_cut_off=sum(a.finish_reason == "length" for a in own),
        prompt_tokens=prompt,
        answer_tokens=answer,
        mean_logprob=fmean(logprobs) if logprobs else None,
    )


def _mean(values: Scores, clusters: Mapping[str, str]) -> Estimate:
    return scores_mean(_of(values, clusters), clusters)


def _differences(study: StudySettings, scores: Table, clusters: Mapping[str, str]) -> tuple[ArmDifference, ...]:
    """Every pair of arms on every metric, the later arm minus the earlier one."""
    return tuple(
        _difference(study, scores, clusters, (later, earlier), metric)
        for metric in study.score.metrics
        for earlier, later in combinations(study.answer.arms, 2)
    )


def _explained(study: StudySettings, scores: Table, clusters: Mapping[str, str]) -> tuple[ArmDifference, ...]:
    """Tuned arms minus their format control on every metric, and minus the single-form adapters on the primary one."""
    there = {plan.name for plan in arms_of(study)}
    controls: list[tuple[str, str]] = [
        (tuned, control) for tuned, control in CONTROL_OF.items() if {tuned, control} <= there
    ]
    forms = [("tuned + rag" if plan.retrieves else "tuned", plan.name) for plan in PLANS if plan.role == "diagnostic"]
    pairs = [(pair, metric) for pair in controls for metric in study.score.metrics]
    pairs += [((tuned, form), study.verdict.primary) for tuned, form in forms if {tuned, form} <= there]
    return tuple(_difference(study, scores, clusters, pair, metric) for pair, metric in pairs)


def _difference(
    study: StudySettings, scores: Table, clusters: Mapping[str, str], arms: tuple[str, str], metric: str
) -> ArmDifference:
    a, b = arms
    of_a, of_b = (_of(scores[arm][metric], clusters) for arm in arms)
    paired = paired_difference(of_a, of_b, clusters, seed=study.verdict.seed)
    return ArmDifference(a=a, b=b, metric=metric, paired=paired)


def _strata(
    study: StudySettings,
    questions: Sequence[Question],
    scores: Table,
    kind: str,
    shared: Mapping[str, tuple[str, ...]],
) -> tuple[StratumSummary, ...]:
    groups = {
        "distance to tuning": {q.question_id: str(q.stratum) for q in questions},
        "document": {q.question_id: q.document for q in questions},
        "type": {q.question_id: q.kind or "not given" for q in questions},
        "documents with the fact": {q.question_id: "several" if shared[q.question_id] else "one" for q in questions},
    }
    if "base" in scores:
        known = known_closed_book(scores["base"][study.verdict.primary], threshold=RIGHT_FROM)
        words = {True: "known", False: "not known", None: "base failed"}
        groups["closed book, by base"] = {q.question_id: words[known[q.question_id]] for q in questions}
    # Of the verdict's kind, also where unseen documents make up the number from which documents would be chosen.
    clusters = {
        q.question_id: q.doc_id if kind == "document" else SECTION_SEPARATOR.join((q.doc_id, *q.section))
        for q in questions
    }
    summaries = []
    for group, names in groups.items():
        for stratum in sorted(set(names.values())):
            inside = {q: clusters[q] for q, name in names.items() if name == stratum}
            for plan in arms_of(study):
                arm = plan.name
                estimate = _mean(scores[arm][study.verdict.primary], inside)
                summaries.append(StratumSummary(group=group, stratum=stratum, arm=arm, estimate=estimate))
    return tuple(summaries)


def _retrieval(study: StudySettings, scores: Table, clusters: Mapping[str, str]) -> dict[str, Estimate]:
    # All arms that retrieve are given the same contexts.
    arm = next((plan.name for plan in arms_of(study) if plan.retrieves), None)
    if arm is None:
        return {}
    k = study.retrieval.k
    return {name: _mean(scores[arm][name], clusters) for name in (f"recall@{k}", f"mrr@{k}", f"ndcg@{k}")}
