"""Groundedness by a cross-encoder, which reads sentence and passage together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fourfold.evals.groundedness.rate import Claim, Rating


class PairScorer(Protocol):
    """A cross-encoder: a reranker, or a model of entailment."""

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        """How well the second text of each pair answers, or supports, the first; higher is better, any scale."""


class BestPassageScorer:
    """The best passage's score for a sentence, on the cross-encoder's own scale.

    As SummaC's zero-shot form (Laban et al. 2022) takes the best passage per sentence. A sentence that
    only two passages together support is rated too low.
    """

    def __init__(self, encoder: PairScorer) -> None:
        self.encoder = encoder

    def rate(self, claims: Sequence[Claim]) -> list[Rating]:
        """One rating per claim, in order; every pair in one call."""
        pairs = [(claim.sentence, context) for claim in claims for context in claim.contexts]
        scores = iter(self.encoder.score_pairs(pairs) if pairs else [])
        found = [[next(scores) for _ in claim.contexts] for claim in claims]
        return [Rating(value=float(max(some))) if some else Rating(value=None, reason="no passages") for some in found]
