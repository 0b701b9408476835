"""Where each answer went wrong: one class per arm and question, by rules that need no model.

After Barnett et al. 2024, "Seven Failure Points When Engineering a Retrieval Augmented Generation System", cut down to
what the records show. Classes in order of precedence; the first that applies is the class:

1. parse or system failure: there is no score.
2. rescued by weights: right without the gold in its contexts, by an arm that has both contexts and an adapter.
3. right: the score reaches the threshold.
4. not retrieved: the gold is not in the contexts shown. The earliest cause counts, so a refusal stands here too.
5. refused: declined, with the gold in its contexts or without contexts.
6. wrong closed book: wrong by an arm without contexts.
7. wrong despite context: the answer draws on the contexts: at least half of its own content words stand in them.
8. in context but ignored: the gold was shown, and the answer does not draw on the contexts.

A question that nothing in the documents answers has no gold and no score. After a failure it has two classes of its
own: rightly declined, and answered the unanswerable.

A content word is a token after SQuAD's normalisation that is no function word of English; an answer's own content words
are those that the question does not hold (repeating the question is not drawing on the contexts). An answer without any
draws on nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from fourfold.errors import FairnessError, InputError
from fourfold.text import squad_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

AttributionClass = Literal[
    "parse or system failure",
    "rescued by weights",
    "right",
    "not retrieved",
    "refused",
    "wrong closed book",
    "wrong despite context",
    "in context but ignored",
    "rightly declined",
    "answered the unanswerable",
]
CLASSES: tuple[AttributionClass, ...] = get_args(AttributionClass)

DRAWS_ON_CONTEXT = 0.5
N_EXAMPLES = 3

# Lucene's English stop words (EnglishAnalyzer); "a", "an" and "the" are gone after the normalisation.
FUNCTION_WORDS = frozenset(
    [
        "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of", "on",
        "or", "such", "that", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOutcome:
    """What one arm made of one question.

    Args:
        arm: its name.
        question_id: of the question.
        question: its text.
        answer: None where there is none.
        score: on the primary metric; None exactly where `failure` says why, and for an unanswerable question.
        failure: why there is no score; None where there is one.
        refused: whether the answer declines.
        contexts: texts shown in the prompt; None for an arm without contexts.
        gold_in_context: whether they hold the gold (recall at k of what was shown); None exactly where `contexts` is,
            and for an unanswerable question.
        adapted: whether the arm answers with an adapter.
        answerable: whether the documents answer the question.
    """

    arm: str
    question_id: str
    question: str
    answer: str | None
    score: float | None
    failure: str | None
    refused: bool
    contexts: tuple[str, ...] | None
    gold_in_context: bool | None
    adapted: bool
    answerable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributed:
    """The class of one arm and question."""

    arm: str
    question_id: str
    kind: AttributionClass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCount:
    """How often an arm's answers fell into a class, with the first three question ids that did, in the order given."""

    arm: str
    kind: AttributionClass
    n: int
    examples: tuple[str, ...]


def attribute(outcomes: Sequence[ItemOutcome], *, right_from: float) -> tuple[Attributed, ...]:
    """Put each arm's answer to each question into exactly one class.

    Args:
        outcomes: one per arm and question; of an arm with several tuning seeds, those of one seed.
        right_from: score from which an answer is right, in (0, 1].

    Returns:
        One per outcome, in the order given.

    Raises:
        InputError: `right_from` is outside (0, 1], an arm and question stands there twice, or an outcome contradicts
            itself.
        FairnessError: the arms' questions differ.
    """
    # The negation also holds for NaN.
    if not 0 < right_from <= 1:
        raise InputError(
            "the score from which an answer is right is wrong",
            seen=right_from,
            expected="a number above 0, at most 1",
            hint="1 asks for every key fact",
        )
    _check_items(outcomes)
    for outcome in outcomes:
        _check_outcome(outcome)
    return tuple(
        Attributed(arm=outcome.arm, question_id=outcome.question_id, kind=_class_of(outcome, right_from))
        for outcome in outcomes
    )


def count_classes(attributed: Sequence[Attributed]) -> tuple[ClassCount, ...]:
    """Counts and examples: for each arm, in the order of its first answer, every class, also those with none."""
    counts = []
    for arm in dict.fromkeys(item.arm for item in attributed):
        for kind in CLASSES:
            ids = [item.question_id for item in attributed if item.arm == arm and item.kind == kind]
            counts.append(ClassCount(arm=arm, kind=kind, n=len(ids), examples=tuple(ids[:N_EXAMPLES])))
    return tuple(counts)


def _class_of(outcome: ItemOutcome, right_from: float) -> AttributionClass:
    """The rules of the module, first to last."""
    kind: AttributionClass
    if outcome.failure is not None:
        kind = "parse or system failure"
    elif outcome.score is None:
        kind = "rightly declined" if outcome.refused else "answered the unanswerable"
    elif outcome.score >= right_from:
        kind = "rescued by weights" if outcome.gold_in_context is False and outcome.adapted else "right"
    elif outcome.gold_in_context is False:
        kind = "not retrieved"
    elif outcome.refused:
        kind = "refused"
    elif outcome.contexts is None:
        kind = "wrong closed book"
    elif draws_on_contexts(outcome.answer or "", outcome.question, outcome.contexts):
        kind = "wrong despite context"
    else:
        kind = "in context but ignored"
    return kind


def draws_on_contexts(answer: str, question: str, contexts: Sequence[str]) -> bool:
    """Whether at least half of the answer's own content words, each counted once, stand in the contexts."""
    own = set(squad_tokens(answer)) - FUNCTION_WORDS - set(squad_tokens(question))
    shown = {token for context in contexts for token in squad_tokens(context)}
    return bool(own) and len(own & shown) >= DRAWS_ON_CONTEXT * len(own)


def _check_outcome(outcome: ItemOutcome) -> None:
    if outcome.score is not None and not math.isfinite(outcome.score):
        seen, expected = f"the score {outcome.score}", "a finite score, or None with a failure"
    elif not outcome.answerable and (outcome.score is not None or outcome.gold_in_context is not None):
        seen = f"unanswerable, score {outcome.score}, gold in context {outcome.gold_in_context}"
        expected = "neither a score nor gold where nothing answers the question"
    elif not outcome.answerable:
        return
    elif (outcome.score is None) != (outcome.failure is not None):
        seen = f"score {outcome.score}, failure {outcome.failure!r}"
        expected = "a score, or a failure that says why there is none"
    elif (outcome.contexts is None) != (outcome.gold_in_context is None):
        seen = f"{'no ' if outcome.contexts is None else ''}contexts, gold in context {outcome.gold_in_context}"
        expected = "both for an arm with contexts, neither for one without"
    else:
        return
    raise InputError(
        f"the outcome of {outcome.arm} on {outcome.question_id} cannot be attributed",
        seen=seen,
        expected=expected,
        hint="make the outcome from one answer's rows",
    )


def _check_items(outcomes: Sequence[ItemOutcome]) -> None:
    asked: dict[str, set[str]] = {}
    for outcome in outcomes:
        ids = asked.setdefault(outcome.arm, set())
        if outcome.question_id in ids:
            raise InputError(
                "an arm answered a question twice",
                seen=f"{outcome.arm} on {outcome.question_id}",
                expected="one outcome per arm and question",
                hint="give the outcomes of one tuning seed",
            )
        ids.add(outcome.question_id)
    for arm, ids in asked.items():
        if ids != asked[outcomes[0].arm]:
            differing = ", ".join(sorted(ids ^ asked[outcomes[0].arm])[:N_EXAMPLES])
            raise FairnessError(
                "the arms answered different questions",
                seen=f"{arm} and {outcomes[0].arm} differ in {differing}",
                expected="the same questions for every arm",
                hint="give a failed question as an outcome with its failure",
            )
