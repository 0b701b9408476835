"""Which answers the judge is given, in what order, and how they cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourfold.app.context import Context
from fourfold.app.stages.rubric import asked, passages
from fourfold.arms import arms_of
from fourfold.digest import digest_of
from fourfold.evals.judge.panel import Place
from fourfold.evals.judge.port import JudgeItem
from fourfold.evals.report.table import UNSEEN, cluster_questions
from fourfold.types import Answer, Guideline

UNANSWERABLE = "the documents do not answer the question"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The answers that a judge is given, next to one another by question, and why it is not given the others."""

    pairs: Sequence[tuple[Answer, JudgeItem]]
    unjudged: dict[Place, str]


def answers_to_judge(context: Context) -> Asked:
    """Every answer to a question that has one, with its item; failed answers are not judged."""
    questions = {question.question_id: question for question in asked(context)}
    texts = passages(context, tuple(questions.values()))
    guidelines = {one.question_id: one.text for one in context.store.read(Guideline, context.results["rubric"].key)}
    by_question: dict[str, list[tuple[Answer, JudgeItem]]] = {question_id: [] for question_id in questions}
    unjudged: dict[Place, str] = {}
    for number, answer in enumerate(all_answers(context)):
        question = questions.get(answer.question_id)
        if question is None or answer.text is None:
            unjudged[answer.arm, answer.tuning_seed, answer.question_id] = answer.failure or UNANSWERABLE
            continue
        item = JudgeItem(
            item_id=str(number),
            question=question.question,
            answer=answer.text,
            reference=question.reference,
            passage=texts[question.question_id],
            guideline=guidelines.get(question.question_id),
        )
        by_question[answer.question_id].append((answer, item))
    return Asked(pairs=[pair for own in by_question.values() for pair in own], unjudged=unjudged)


def all_answers(context: Context) -> tuple[Answer, ...]:
    """Of every arm and seed."""
    return context.store.read(Answer, context.results["answer"].key)


def contestants(context: Context) -> list[Answer]:
    """The contestants' answers to what the judge is asked about; of several tuning seeds, the first."""
    arms = {plan.name for plan in arms_of(context.study) if plan.role == "contestant"}
    questions = {question.question_id for question in asked(context)}
    first: dict[tuple[str, str], Answer] = {}
    for answer in all_answers(context):
        if answer.arm in arms and answer.question_id in questions:
            first.setdefault((answer.arm, answer.question_id), answer)
    return list(first.values())


def clusters_of(context: Context) -> dict[str, str]:
    """The verdict's clusters, of the questions that it rests on."""
    _, clusters = cluster_questions([question for question in asked(context) if question.stratum != UNSEEN])
    return clusters


def judge_inputs(context: Context) -> dict[str, str]:
    """Digests of what every pass of the judge depends on."""
    return {
        "answer": context.results["answer"].digest,
        "test questions": digest_of(context.questions("test")),
        "ingest": context.results["ingest"].digest,
    }
