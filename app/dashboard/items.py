"""Test questions chosen by what the arms made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fourfold.evals.report.data import AnswerShown, QuestionShown

Outcome = Literal["right", "not right", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("right", "not right", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which questions to show; None does not filter. `arm` counts only together with `outcome`, and the other way."""

    arm: str | None = None
    outcome: Outcome | None = None
    stratum: str | None = None
    document: str | None = None


def outcome_of(answers: Iterable[AnswerShown], primary: str) -> Outcome:
    """What became of one question, over an arm's tuning seeds.

    Returns:
        'failed' where an answer is missing, 'right' where each has the full score of 1 on the primary metric.
    """
    values = [None if answer.text is None else answer.scores.get(primary) for answer in answers]
    if not values or None in values:
        return "failed"
    return "right" if all(value == 1 for value in values) else "not right"


def choose(questions: Sequence[QuestionShown], filters: Filters, primary: str) -> list[QuestionShown]:
    """The questions that fit every filter, in their order."""
    return [question for question in questions if _fits(question, filters, primary)]


def _fits(question: QuestionShown, filters: Filters, primary: str) -> bool:
    if filters.stratum not in {None, question.stratum} or filters.document not in {None, question.document}:
        return False
    if filters.arm is None or filters.outcome is None:
        return True
    return outcome_of([a for a in question.answers if a.arm == filters.arm], primary) == filters.outcome
