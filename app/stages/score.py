"""score: every answer by every metric, and retrieval against the gold spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.arms import arms_of
from fourfold.digest import digest_of
from fourfold.embed.port import Embedder
from fourfold.evals.metrics import TEXT_METRICS, is_refusal
from fourfold.evals.retrieval_metrics import score_retrieval
from fourfold.evals.similarity import embedding_similarity
from fourfold.study import Metric
from fourfold.types import Answer, Arm, Chunk, Question, Retrieved, Score

REFUSAL = "refusal"
UNANSWERABLE = "the documents do not answer the question"
SIMILARITY: Metric = "embedding_similarity"


def score_answers(answers: Iterable[Answer], questions: Sequence[Question], metrics: Sequence[Metric]) -> list[Score]:
    """One row per answer and metric of its text, and one for refusal.

    A failed answer has no value, with the failure as reason. An answer to an unanswerable question is scored for
    refusal alone: there is nothing to be right about.
    """
    by_id = {question.question_id: question for question in questions}
    scores = []
    for answer in answers:
        question = by_id[answer.question_id]
        for name in [*metrics, REFUSAL]:
            value = _value(answer, question, name)
            scores.append(
                Score(
                    arm=answer.arm,
                    tuning_seed=answer.tuning_seed,
                    question_id=answer.question_id,
                    metric=name,
                    value=value,
                    reason=None if value is not None else answer.failure or UNANSWERABLE,
                )
            )
    return scores


def _value(answer: Answer, question: Question, name: Metric | str) -> float | None:
    if answer.text is None:
        return None
    if name == REFUSAL:
        return float(is_refusal(answer.text))
    return None if question.answerable is False else TEXT_METRICS[name](answer.text, question)  # type: ignore[index]


def score_similarity(answers: Sequence[Answer], questions: Sequence[Question], embedder: Embedder) -> list[Score]:
    """The cosine of every answer and its reference; every text is embedded once."""
    by_id = {question.question_id: question for question in questions}
    asked = [by_id[answer.question_id] for answer in answers]
    found = embedding_similarity(
        [None if q.answerable is False else answer.text for q, answer in zip(asked, answers, strict=True)],
        [question.reference for question in asked],
        embed=lambda texts: embedder.embed(texts, kind="passage"),
    )
    return [
        Score(
            arm=answer.arm,
            tuning_seed=answer.tuning_seed,
            question_id=answer.question_id,
            metric=SIMILARITY,
            value=similarity.value,
            reason=answer.failure or (UNANSWERABLE if question.answerable is False else similarity.reason),
        )
        for answer, question, similarity in zip(answers, asked, found, strict=True)
    ]


def score_retrieved(
    arms: Sequence[Arm],
    retrieved: Iterable[Retrieved],
    questions: Sequence[Question],
    chunks: Iterable[Chunk],
    *,
    k: int,
) -> list[Score]:
    """recall@k, reciprocal rank and nDCG@k of every test question, once for each arm that retrieves.

    Without a value where nothing in the documents answers the question.
    """
    by_id = {chunk.chunk_id: chunk for chunk in chunks}
    ranked: dict[str, list[Chunk]] = {}
    for row in sorted(retrieved, key=lambda row: row.rank):
        ranked.setdefault(row.question_id, []).append(by_id[row.chunk_id])
    scores = []
    for question in questions:
        values: dict[str, float | None] = dict.fromkeys((f"recall@{k}", f"mrr@{k}", f"ndcg@{k}"))
        reason: str | None = UNANSWERABLE
        if question.answerable is not False:
            found = score_retrieval(question, ranked.get(question.question_id, []), k=k)
            values = dict(zip(values, (found.recall, found.reciprocal_rank, found.ndcg), strict=True))
            reason = None
        scores += [
            Score(arm=arm, tuning_seed=None, question_id=question.question_id, metric=name, value=value, reason=reason)
            for arm in arms
            for name, value in values.items()
        ]
    return scores


def score_by_metrics(context: Context, answers: Sequence[Answer], questions: Sequence[Question]) -> list[Score]:
    """Every answer by every metric of the study."""
    metrics = context.study.score.metrics
    scores = score_answers(answers, questions, [metric for metric in metrics if metric != SIMILARITY])
    if SIMILARITY in metrics:
        scores += score_similarity(answers, questions, context.embedder)
    return scores


def _run(context: Context, _: Path | None) -> Outcome:
    questions = context.questions("test")
    key = context.results["answer"].key
    arms = [plan.name for plan in arms_of(context.study) if plan.retrieves]
    scores = score_by_metrics(context, context.store.read(Answer, key), questions)
    if arms:
        retrieved = context.store.read(Retrieved, key)
        scores += score_retrieved(arms, retrieved, questions, context.chunks, k=context.study.retrieval.k)
    return Outcome(records=scores, content={}, summary={"n_scores": len(scores)})


def _settings(context: Context) -> dict[str, Any]:
    metrics = context.study.score.metrics
    embedder = context.embedder_identity if SIMILARITY in metrics else None
    retrieves = any(plan.retrieves for plan in arms_of(context.study))
    return {
        "metrics": list(metrics),
        "embedder": embedder,
        # It names the retrieval metrics.
        "k": context.study.retrieval.k if retrieves else None,
    }


STAGE = Stage(
    name="score",
    version=3,
    settings=_settings,
    inputs=lambda context: {
        "answer": context.results["answer"].digest,
        "test questions": digest_of(context.questions("test")),
        "index": context.results["index"].digest,
    },
    run=_run,
    describe=lambda s: f"{s['n_scores']:,} scores",
)
