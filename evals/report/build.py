"""Rows of the store → report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.clusters import choose_clusters
from fourfold.evals.compare import paired_difference
from fourfold.evals.estimate import Estimate
from fourfold.evals.report.data import ArmDifference, ArmSummary, Report, StageShown, StratumSummary
from fourfold.evals.report.items import show_questions
from fourfold.evals.report.sentence import caveats, sentence
from fourfold.evals.verdict import ArmResults, Verdict, decide
from fourfold.study import StudySettings
from fourfold.types import Answer, Chunk, Document, LeakedPair, Question, Score

UNSEEN = "document unseen"
REFUSAL = "refusal"

# Per arm and metric: score per question id, None for a failed item.
Scores = Mapping[str, Mapping[str, Mapping[str, float | None]]]


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
    verdict = _verdict(study, rows, scores, clusters)
    arms = tuple(_arm(study, arm, rows, scores, clusters) for arm in study.answer.arms)
    return Report(
        study=study.name,
        base=base,
        sentence=sentence(verdict, arms, study.verdict.primary),
        caveats=caveats(verdict, study, frozen_rule_kept=frozen_rule_kept, n_questions=len(judged)),
        primary=study.verdict.primary,
        cluster_kind=kind,
        n_questions=len(judged),
        n_transfer=len(rows.questions) - len(judged),
        verdict=verdict,
        arms=arms,
        differences=_differences(study, scores, clusters),
        strata=_strata(study, rows.questions, scores),
        retrieval=_retrieval(study, scores, clusters),
        documents=tuple(rows.documents),
        leaked=tuple(rows.leaked),
        questions=show_questions(rows.questions, rows.answers, scores, rows.chunks, rows.documents),
        stages=tuple(rows.stages),
        settings=study.model_dump(mode="json"),
    )


def _by_arm(scores: Sequence[Score]) -> Scores:
    table: dict[str, dict[str, dict[str, float | None]]] = {}
    for score in scores:
        table.setdefault(score.arm, {}).setdefault(score.metric, {})[score.question_id] = score.value
    return table


def _clusters(questions: Sequence[Question]) -> tuple[str, dict[str, str]]:
    kind, names = choose_clusters([q.doc_id for q in questions], [" › ".join(q.section) for q in questions])
    return kind, {question.question_id: name for question, name in zip(questions, names, strict=True)}


def _verdict(study: StudySettings, rows: Rows, scores: Scores, clusters: Mapping[str, str]) -> Verdict:
    results = []
    for arm in study.answer.arms:
        values = scores[arm][study.verdict.primary]
        prompt, answer = _tokens(rows.answers, arm, clusters)
        # An arm that finished nothing costs nothing that was measured; it cannot win, having no score.
        cost = (prompt or 0.0) + (answer or 0.0)
        results.append(ArmResults(arm=arm, scores={q: values[q] for q in clusters}, mean_cost=cost))
    return decide(results, clusters, margin=study.verdict.margin)


def _tokens(answers: Sequence[Answer], arm: str, clusters: Mapping[str, str]) -> tuple[float | None, float | None]:
    done = [a for a in answers if a.arm == arm and a.text is not None and a.question_id in clusters]
    if not done:
        return None, None
    return fmean(a.n_prompt_tokens for a in done), fmean(a.n_answer_tokens for a in done)


def _arm(study: StudySettings, arm: str, rows: Rows, scores: Scores, clusters: Mapping[str, str]) -> ArmSummary:
    own = [a for a in rows.answers if a.arm == arm and a.question_id in clusters]
    logprobs = [a.mean_logprob for a in own if a.mean_logprob is not None]
    prompt, answer = _tokens(rows.answers, arm, clusters)
    metrics: dict[str, Estimate] = {metric: _mean(scores[arm][metric], clusters) for metric in study.score.metrics}
    counted: dict[str, Estimate] = {
        metric: _mean({q: value or 0.0 for q, value in scores[arm][metric].items()}, clusters)
        for metric in study.score.metrics
    }
    return ArmSummary(
        arm=arm,
        metrics=metrics,
        failed_as_wrong=counted,
        refusals=_mean(scores[arm][REFUSAL], clusters),
        n_failed=sum(a.text is None for a in own),
        n_cut_off=sum(a.finish_reason == "length" for a in own),
        prompt_tokens=prompt,
        answer_tokens=answer,
        mean_logprob=fmean(logprobs) if logprobs else None,
    )


def _mean(values: Mapping[str, float | None], clusters: Mapping[str, str]) -> Estimate:
    ids = [question for question in values if question in clusters]
    return cluster_mean([values[q] for q in ids], [clusters[q] for q in ids])


def _differences(study: StudySettings, scores: Scores, clusters: Mapping[str, str]) -> tuple[ArmDifference, ...]:
    """Every pair of arms on every metric, the later arm minus the earlier one."""
    return tuple(
        ArmDifference(
            a=later,
            b=earlier,
            metric=metric,
            paired=paired_difference(
                {q: scores[later][metric][q] for q in clusters},
                {q: scores[earlier][metric][q] for q in clusters},
                clusters,
                seed=study.verdict.seed,
            ),
        )
        for metric in study.score.metrics
        for earlier, later in combinations(study.answer.arms, 2)
    )


def _strata(study: StudySettings, questions: Sequence[Question], scores: Scores) -> tuple[StratumSummary, ...]:
    groups = {
        "distance to tuning": {q.question_id: str(q.stratum) for q in questions},
        "document": {q.question_id: q.document for q in questions},
        "type": {q.question_id: q.kind or "not given" for q in questions},
    }
    _, clusters = _clusters(questions)
    summaries = []
    for group, names in groups.items():
        for stratum in sorted(set(names.values())):
            inside = {q: clusters[q] for q, name in names.items() if name == stratum}
            for arm in study.answer.arms:
                estimate = _mean(scores[arm][study.verdict.primary], inside)
                summaries.append(StratumSummary(group=group, stratum=stratum, arm=arm, estimate=estimate))
    return tuple(summaries)


def _retrieval(study: StudySettings, scores: Scores, clusters: Mapping[str, str]) -> dict[str, Estimate]:
    arm = next((arm for arm in study.answer.arms if "rag" in arm), None)
    if arm is None:
        return {}
    k = study.retrieval.k
    return {name: _mean(scores[arm][name], clusters) for name in (f"recall@{k}", f"mrr@{k}", f"ndcg@{k}")}
