"""Knowledge Filter: only passages that entail an answer to the question go on.

Source: Shi et al. 2024 (ERM4, arXiv 2407.10670), module Knowledge Filter: one inference call for each passage, premise
the passage, hypothesis that it holds a clear, unambiguous answer; entailment alone is kept. We differ where a call
fails: the published code counts it as a contradiction; here the passage was not judged, so it stays, and the failure
is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from fourfold.retrieval.modules.prompts import answers_statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A passage and what it may entail: an answer to a question, or a statement."""

    premise: str
    hypothesis: str
    kind: Literal["question", "statement"] = "question"

    @property
    def statement(self) -> str:
        """The hypothesis in words."""
        return answers_statement(self.hypothesis) if self.kind == "question" else self.hypothesis


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPair:
    """A pair of which it is known whether the premise entails the hypothesis."""

    pair: Pair
    entailed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a judge makes of one pair.

    `entailed` is None exactly where `failure` says why there is no judgement. `score` in [0, 1] rises with the belief
    in entailment; None for a failure, and for a judge that gives no more than a yes or no. `n_tokens` are those that a
    language model took.
    """

    entailed: bool | None
    score: float | None = None
    failure: str | None = None
    n_tokens: int = 0


class EntailmentJudge(Protocol):
    """Judges pairs."""

    def judge(self, pairs: Sequence[Pair]) -> Sequence[Judgement]:
        """One judgement for each pair, in order."""


class PairScorer(Protocol):
    """Scores pairs: the part of a judge that a threshold is calibrated on."""

    def score(self, pairs: Sequence[Pair]) -> Sequence[Judgement]:
        """One judgement for each pair, in order, `entailed` at a score of 0.5."""


class ThresholdJudge:
    """A scorer with a threshold of its own: entailed from `threshold` on.

    Args:
        scorer: gives scores in [0, 1].
        threshold: in [0, 1].
    """

    def __init__(self, scorer: PairScorer, threshold: float) -> None:
        self._scorer = scorer
        self._threshold = threshold

    def judge(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """One judgement for each pair, in order."""
        return [
            Judgement(
                entailed=None if one.score is None else one.score >= self._threshold,
                score=one.score,
                failure=one.failure,
                n_tokens=one.n_tokens,
            )
            for one in self._scorer.score(pairs)
        ]
