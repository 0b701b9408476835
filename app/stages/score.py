"""score: every answer by every metric, and retrieval against the gold spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.arms import arms_of
from fourfold.digest import digest_of
from fourfold.evals.metrics import METRICS, is_refusal
from fourfold.evals.retrieval_metrics import score_retrieval
from fourfold.study import Metric
from fourfold.types import Answer, Arm, Chunk, Question, Retrieved, Score

REFUSAL = "refusal"


def score_answers(answers: Iterable[Answer], questions: Sequence[Question], metrics: Sequence[Metric]) -> list[Score]:
    """One row per answer and metric, and one for refusal. A failed answer has no value, with the failure as reason."""
    by_id = {question.question_id: question for question in questions}
    scores = []
    for answer in answers:
        question = by_id[answer.question_id]
        values: dict[str, float | None] = dict.fromkeys([*metrics, REFUSAL])
        if answer.text is not None:
            values = {metric: METRICS[metric](answer.text, question) for metric in metrics}
            values[REFUSAL] = float(is_refusal(answer.text))
        scores += [
            Score(
                arm=answer.arm,
                tuning_seed=answer.tuning_seed,
                question_id=answer.question_id,
                metric=name,
                value=value,
                reason=answer.failure,
            )
            for name, value in values.items()
        ]
    return scores


def score_retrieved(
    arms: Sequence[Arm],
    retrieved: Iterable[Retrieved],
    questions: Sequence[Question],
    chunks: Iterable[Chunk],
    *,
    k: int,
) -> list[Score]:
    """recall@k, reciprocal rank and nDCG@k of every test question, once for each arm that retrieves."""
    by_id = {chunk.chunk_id: chunk for chunk in chunks}
    ranked: dict[str, list[Chunk]] = {}
    for row in sorted(retrieved, key=lambda row: row.rank):
        ranked.setdefault(row.question_id, []).append(by_id[row.chunk_id])
    scores = []
    for question in questions:
        found = score_retrieval(question, ranked.get(question.question_id, []), k=k)
        values = {f"recall@{k}": found.recall, f"mrr@{k}": found.reciprocal_rank, f"ndcg@{k}": found.ndcg}
        scores += [
            Score(arm=arm, tuning_seed=None, question_id=question.question_id, metric=name, value=value, reason=None)
            for arm in arms
            for name, value in values.items()
        ]
    return scores


def _run(context: Context, _: Path | None) -> Outcome:
    questions = context.questions("test")
    key = context.results["answer"].key
    arms = [plan.name for plan in arms_of(context.study) if plan.retrieves]
    scores = score_answers(context.store.read(Answer, key), questions, context.study.score.metrics)
    if arms:
        retrieved = context.store.read(Retrieved, key)
        scores += score_retrieved(arms, retrieved, questions, context.chunks, k=context.study.retrieval.k)
    return Outcome(records=scores, content={}, summary={"n_scores": len(scores)})


STAGE = Stage(
    name="score",
    version=1,
    settings=lambda context: context.study.score.model_dump(mode="json"),
    inputs=lambda context: {
        "answer": context.results["answer"].digest,
        "test questions": digest_of(context.questions("test")),
        "index": context.results["index"].digest,
    },
    run=_run,
    describe=lambda s: f"{s['n_scores']:,} scores",
)
