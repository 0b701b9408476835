"""How each arm answers, beside how well: where it goes wrong, whether it knows when it is right, how it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fourfold.arms import PLAN, arms_of
from fourfold.evals.abstention import Abstention, score_abstention
from fourfold.evals.attribution import ClassCount, ItemOutcome, attribute, count_classes
from fourfold.evals.citations import CitationSummary, score_citations, summarise_citations
from fourfold.evals.estimate import Estimate
from fourfold.evals.known import Discovery, knowledge_discovery
from fourfold.evals.metrics import is_refusal
from fourfold.evals.risk_coverage import RiskCoverage, risk_coverage
from fourfold.evals.seed_scores import Scores, runs_of
from fourfold.evals.text_statistics import answer_length, distinct_share
from fourfold.study import StudySettings
from fourfold.types import Answer, Chunk, Question

# Every key fact, or a reference met to the letter: half an answer is not called right.
RIGHT_FROM = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmBehaviour:
    """One arm over the questions of the verdict; of several tuning seeds, the first.

    Unanswerable questions stand in `failures`, in classes of their own, and in `abstention`; in nothing else.

    Args:
        arm: its name.
        failures: answers by class, every class, with examples.
        confidence: risk and coverage by the mean token log-probability.
        words: mean words an answer.
        distinct_2: distinct bigrams / bigrams of all answers, 0 to 1; higher is more diverse.
        discovery: shares of similar, somewhat similar and not similar answers to the questions whose fact stands in
            several documents.
        abstention: precision and recall of its refusals.
        citations: precision and recall of the contexts that its answers cite.
    """

    arm: str
    failures: tuple[ClassCount, ...]
    confidence: RiskCoverage
    words: Estimate
    distinct_2: Estimate
    discovery: Discovery
    abstention: Abstention
    citations: CitationSummary


def describe_arms(  # noqa: PLR0913 (the tables that a report is made of)
    study: StudySettings,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    table: Mapping[str, Mapping[str, Scores]],
    *,
    unanswerable: Sequence[Question],
    chunks: Sequence[Chunk],
    clusters: Mapping[str, str],
    shared: Mapping[str, tuple[str, ...]],
) -> tuple[ArmBehaviour, ...]:
    """Every arm's behaviour.

    Args:
        study: its arms, primary metric and k.
        questions: those that the verdict rests on.
        answers: of all arms and seeds.
        table: per arm and metric, the score per question id.
        unanswerable: questions that nothing in the documents answers.
        chunks: of the index.
        clusters: cluster per question id, of both.
        shared: per question id, the other documents that hold its fact.
    """
    first = {(a.arm, a.question_id): a for a in reversed(answers)}
    by_id = {chunk.chunk_id: chunk for chunk in chunks}
    text = {chunk.chunk_id: chunk.text for chunk in chunks}
    arms = [plan.name for plan in arms_of(study)]
    outcomes = [
        _outcome(study, question, first[arm, question.question_id], table[arm], text)
        for arm in arms
        for question in (*questions, *unanswerable)
    ]
    counts = count_classes(attribute(outcomes, right_from=RIGHT_FROM))
    names = [clusters[question.question_id] for question in questions]
    found = []
    for arm in arms:
        own = [first[arm, question.question_id] for question in questions]
        scores = runs_of(table[arm][study.verdict.primary])[0]
        found.append(
            ArmBehaviour(
                arm=arm,
                failures=tuple(count for count in counts if count.arm == arm),
                confidence=risk_coverage(
                    [answer.mean_logprob for answer in own], [scores[answer.question_id] for answer in own], names
                ),
                words=answer_length([answer.text for answer in own], names),
                distinct_2=distinct_share([answer.text for answer in own], names, n=2),
                discovery=knowledge_discovery(
                    {q.question_id: scores[q.question_id] for q in questions if shared[q.question_id]}, clusters
                ),
                abstention=_abstention([(q, first[arm, q.question_id]) for q in (*questions, *unanswerable)], clusters),
                citations=summarise_citations(
                    [
                        score_citations(question, [by_id[chunk_id] for chunk_id in answer.chunk_ids], answer.cited)
                        for question, answer in zip(questions, own, strict=True)
                    ],
                    names,
                ),
            )
        )
    return tuple(found)


def _abstention(answered: Sequence[tuple[Question, Answer]], clusters: Mapping[str, str]) -> Abstention:
    return score_abstention(
        [None if answer.text is None else is_refusal(answer.text) for _, answer in answered],
        [question.answerable for question, _ in answered],
        [clusters[question.question_id] for question, _ in answered],
    )


def _outcome(
    study: StudySettings, question: Question, answer: Answer, table: Mapping[str, Scores], text: Mapping[str, str]
) -> ItemOutcome:
    plan = PLAN[answer.arm]
    answerable = question.answerable is not False
    score = runs_of(table[study.verdict.primary])[0][question.question_id]
    recall = runs_of(table[f"recall@{study.retrieval.k}"])[0] if plan.retrieves else None
    gold = recall[question.question_id] if recall and answerable else None
    return ItemOutcome(
        arm=answer.arm,
        question_id=question.question_id,
        question=question.question,
        answer=answer.text,
        score=score,
        failure=answer.failure,
        refused=answer.text is not None and is_refusal(answer.text),
        contexts=tuple(text[chunk_id] for chunk_id in answer.chunk_ids) if plan.retrieves else None,
        gold_in_context=None if gold is None else gold == 1,
        adapted=plan.adapter is not None,
        answerable=answerable,
    )
