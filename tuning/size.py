"""How many of the tuning questions are trained on: the points of a curve over training-set size."""

from __future__ import annotations

import random
from collections.abc import Sequence

from fourfold.errors import QuestionError
from fourfold.types import Question


def choose_size(questions: Sequence[Question], size: float, *, seed: int) -> tuple[Question, ...]:
    """A part of the questions in their own order; of one seed a smaller part lies within a larger one.

    Args:
        questions: all tuning questions.
        size: up to 1 the share of them (at least one question), above 1 their number.
        seed: which of them come first.

    Raises:
        QuestionError: more are wanted than there are.
    """
    n_wanted = max(1, round(size * len(questions))) if size <= 1 else int(size)
    if n_wanted > len(questions) > 0:
        raise QuestionError(
            "there are fewer tuning questions than the size asks for",
            seen=f"{len(questions)} tuning question(s), tuning.size = {n_wanted}",
            expected="at least as many",
            hint="lower tuning.size, or raise questions.n_tuning",
        )
    places = list(range(len(questions)))
    random.Random(seed).shuffle(places)  # noqa: S311 (a choice, not a secret)
    return tuple(questions[place] for place in sorted(places[:n_wanted]))
