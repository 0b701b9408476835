"""Answers to the validation questions and their scores: what a sweep chooses by. No part of a plain run."""

from __future__ import annotations

from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.pipeline import Outcome, Stage
from fourfold.app.stages import answer, score
from fourfold.digest import digest_of
from fourfold.types import Answer


def _answer(context: Context, _: Path | None) -> Outcome:
    # The rule is fixed before the first answer of any kind: a margin must not be set by what validation shows.
    context.store.freeze(answer.verdict_scope(context), context.study.verdict.model_dump(mode="json"))
    answers, retrieved = answer.answer_questions(context, context.questions("validation"))
    summary = {"n_answers": len(answers), "n_failed": sum(row.text is None for row in answers)}
    return Outcome(records=[*answers, *retrieved], content={}, summary=summary)


def _score(context: Context, _: Path | None) -> Outcome:
    answers = context.store.read(Answer, context.results[ANSWER.name].key)
    scores = score.score_by_metrics(context, answers, context.questions("validation"))
    return Outcome(records=scores, content={}, summary={"n_scores": len(scores)})


ANSWER = Stage(
    name="answer-validation",
    version=answer.STAGE.version,
    settings=answer.STAGE.settings,
    inputs=lambda context: answer.answer_inputs(context, "validation"),
    run=_answer,
    describe=lambda s: f"{s['n_answers']} answers to validation questions, {s['n_failed']} failed",
)
SCORE = Stage(
    name="score-validation",
    version=score.STAGE.version,
    settings=score.STAGE.settings,
    inputs=lambda context: {
        "answer": context.results[ANSWER.name].digest,
        "validation questions": digest_of(context.questions("validation")),
    },
    run=_score,
    describe=lambda s: f"{s['n_scores']:,} scores",
)
