"""Entailment by the model's log-probabilities of yes and no."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fourfold.llm.port import Refusal
from fourfold.retrieval.modules.knowledge_filter import Judgement, Pair
from fourfold.retrieval.modules.ports import Likelihood, Scorer
from fourfold.retrieval.modules.prompts import entail_chat

_WORDS = ("Yes", "No")


class LogprobScorer:
    """score = P(Yes) / (P(Yes) + P(No)), from one pass over the prompt and nothing written.

    A small model's scores are far from calibrated: give it a threshold from `calibrate_threshold`.

    Args:
        score: the model.
    """

    def __init__(self, score: Scorer) -> None:
        self._score = score

    def score(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """One judgement for each pair, in order, all scored together."""
        found = self._score([entail_chat(pair.premise, pair.statement) for pair in pairs], _WORDS)
        return [_read(one) for one in found]


def _read(found: Likelihood | Refusal) -> Judgement:
    if isinstance(found, Refusal):
        return Judgement(entailed=None, failure=found.reason)
    yes, no = found.logprobs
    if not (math.isfinite(yes) and math.isfinite(no)):
        reason = f"log-probabilities {yes} and {no} of yes and no"
        return Judgement(entailed=None, failure=reason, n_tokens=found.n_tokens)
    # Stable for any difference: exp of a number that is not positive.
    small = math.exp(-abs(yes - no))
    score = 1 / (1 + small) if yes >= no else small / (1 + small)
    return Judgement(entailed=score >= 0.5, score=score, n_tokens=found.n_tokens)
