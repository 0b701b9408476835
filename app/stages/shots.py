"""The examples of the n-shot arms: tuning questions, never test questions.

Drawn, they are the same for every question; contrastive, the nearest ones to each.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from fourfold.app.context import Context
from fourfold.digest import digest_of
from fourfold.embed.port import Embedder
from fourfold.errors import FairnessError, QuestionError
from fourfold.prompts import Contrast
from fourfold.retrieval.context.contrast import choose_contrasts
from fourfold.types import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Shots:
    """What one question's prompt shows, and the ids of the tuning questions it comes from."""

    examples: tuple[tuple[str, str], ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    ids: tuple[str, ...] = ()


NO_SHOTS = Shots()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotChooser:
    """Chooses the shots of an n-shot arm.

    Args:
        context: the study.
        embedder: of questions, where they are contrastive.
        drawn: the same for every question; empty where they are contrastive.
    """

    context: Context
    embedder: Embedder
    drawn: tuple[Question, ...] = field(default=())

    def choose(self, questions: Sequence[Question]) -> list[Shots]:
        """The shots of each question, in order.

        Raises:
            QuestionError, FairnessError: see `choose_examples` and `choose_contrasts`.
        """
        settings = self.context.study.answer
        if settings.shots == "drawn":
            pairs = tuple((example.question, example.reference) for example in self.drawn)
            return [Shots(examples=pairs, ids=tuple(example.question_id for example in self.drawn))] * len(questions)
        found = choose_contrasts(
            questions,
            self.context.questions("tuning"),
            held_out=_held_out(self.context),
            embed=partial(self.embedder.embed, kind="query"),
            n=settings.n_shots,
        )
        own = [found[question.question_id] for question in questions]
        return [Shots(contrasts=one.examples, ids=one.example_ids) for one in own]


def shot_chooser(context: Context, *, fresh: bool = False) -> ShotChooser:
    """The study's; `fresh` takes no vectors from the store, as the latency pass wants it."""
    drawn = choose_examples(context) if context.study.answer.shots == "drawn" else ()
    return ShotChooser(context=context, embedder=context.uncached_embedder if fresh else context.embedder, drawn=drawn)


def choose_examples(context: Context) -> tuple[Question, ...]:
    """The same examples for every question and every n-shot arm, by the study's seed.

    Raises:
        QuestionError: fewer tuning questions than examples wanted.
        FairnessError: an example is a test or validation question.
    """
    settings = context.study.answer
    return draw(context.questions("tuning"), _held_out(context), n=settings.n_shots, seed=settings.shots_seed)


def _held_out(context: Context) -> list[Question]:
    return [*context.questions("test"), *context.questions("validation")]


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
