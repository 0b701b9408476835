"""The examples of the n-shot arms: tuning questions, never test questions."""

from __future__ import annotations

import random
from collections.abc import Sequence

from fourfold.app.context import Context
from fourfold.digest import digest_of
from fourfold.errors import FairnessError, QuestionError
from fourfold.types import Question


def choose_examples(context: Context) -> tuple[Question, ...]:
    """The same examples for every question and every n-shot arm, by the study's seed.

    Raises:
        QuestionError: fewer tuning questions than examples wanted.
        FairnessError: an example is a test or validation question.
    """
    settings = context.study.answer
    asked = [*context.questions("test"), *context.questions("validation")]
    return draw(context.questions("tuning"), asked, n=settings.n_shots, seed=settings.shots_seed)


def draw(tuning: Sequence[Question], asked: Sequence[Question], *, n: int, seed: int) -> tuple[Question, ...]:
    """See `choose_examples`; `asked` are the questions that no example may repeat."""
    if len(tuning) < n:
        raise QuestionError(
            "there are fewer tuning questions than examples",
            seen=f"{len(tuning)} tuning question(s), answer.n_shots = {n}",
            expected="at least as many tuning questions",
            hint="lower answer.n_shots, or raise questions.n_tuning",
        )
    shuffler = random.Random(seed)  # noqa: S311 (an order, not a secret)
    chosen = tuple(shuffler.sample(sorted(tuning, key=lambda question: question.question_id), n))
    taken = {_hash(question) for question in asked}
    repeated = [question.question for question in chosen if _hash(question) in taken]
    if repeated:
        raise FairnessError(
            "an example shown to the n-shot arms is a question that is asked",
            seen=repeated[0],
            expected="examples from the tuning questions only",
            hint="set another answer.shots_seed, and report this: the leak check should have taken it out",
        )
    return chosen


def _hash(question: Question) -> str:
    return digest_of(" ".join(question.question.lower().split()))
