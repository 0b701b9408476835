"""How well passages ground an answer, sentence by sentence, by whichever scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from fourfold.errors import InputError
from fourfold.evals.groundedness.sentences import split_sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence of an answer and the passages that should ground it."""

    sentence: str
    contexts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One claim's score: higher is better grounded, its scale is the scorer's.

    `value` is None exactly where `reason` says why there is none.
    """

    value: float | None
    reason: str | None = None


class ClaimScorer(Protocol):
    """Says how well passages ground a sentence."""

    def rate(self, claims: Sequence[Claim]) -> list[Rating]:
        """One rating per claim, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence at `[start, end)` of its answer, and its rating."""

    start: int
    end: int
    rating: Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class Groundedness:
    """One answer's sentences; `lowest` and `mean` of their values are None exactly where `reason` says why.

    `lowest` is what "fully grounded" asks for: one sentence that nothing supports spoils an answer.
    """

    sentences: tuple[Sentence, ...]
    lowest: float | None
    mean: float | None
    reason: str | None


def rate_groundedness(
    answers: Sequence[str | None], contexts: Sequence[Sequence[str]], scorer: ClaimScorer
) -> list[Groundedness]:
    """Rates every sentence of every answer, all in one call of the scorer.

    Args:
        answers: one per question; None where there is none.
        contexts: the passages each was given.
        scorer: rates sentences.

    Returns:
        One per answer, in order; undefined, with the reason, where there is no answer, no sentence or no passage, or
        where a sentence has no rating.

    Raises:
        InputError: the two differ in length.
    """
    if len(answers) != len(contexts):
        raise InputError(
            "answers and passages do not match",
            seen=f"{len(answers)} answers, {len(contexts)} lists of passages",
            expected="one list of passages per answer",
            hint="give an empty list to an arm without retrieval",
        )
    places = [split_sentences(text) if text and some else () for text, some in zip(answers, contexts, strict=True)]
    claims = [
        Claim(sentence=(text or "")[start:end], contexts=tuple(some))
        for text, some, spans in zip(answers, contexts, places, strict=True)
        for start, end in spans
    ]
    ratings = iter(scorer.rate(claims) if claims else [])
    return [
        _answer([Sentence(start=start, end=end, rating=next(ratings)) for start, end in spans], text, some)
        for text, some, spans in zip(answers, contexts, places, strict=True)
    ]


def _answer(sentences: Sequence[Sentence], text: str | None, contexts: Sequence[str]) -> Groundedness:
    values = [one.rating.value for one in sentences if one.rating.value is not None]
    reason = None
    if text is None:
        reason = "no answer"
    elif not contexts:
        reason = "no passages"
    elif not sentences:
        reason = "the answer has no sentence"
    elif len(values) < len(sentences):
        reason = next(one.rating.reason for one in sentences if one.rating.value is None)
    return Groundedness(
        sentences=tuple(sentences),
        lowest=None if reason else min(values),
        mean=None if reason else fmean(values),
        reason=reason,
    )
