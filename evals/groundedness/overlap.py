"""Groundedness by word overlap: the baseline that a model has to beat."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fourfold.evals.groundedness.rate import Claim, Rating

_NO_SPACES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Japanese and Chinese write no spaces: there a character stands for a word.
_WORD = re.compile(rf"[{_NO_SPACES}]|[^\W_{_NO_SPACES}]+")


class WordOverlap:
    """Share of a sentence's words that stand in its passages, in [0, 1]; each word counts as often as it is said.

    This is the unigram precision of BLEU (Papineni et al. 2002) without clipping: a passage that says a
    word once grounds it wherever the answer repeats it.
    """

    def rate(self, claims: Sequence[Claim]) -> list[Rating]:
        """One rating per claim, in order."""
        return [_rate(claim) for claim in claims]


def _rate(claim: Claim) -> Rating:
    said = words(claim.sentence)
    if not said:
        return Rating(value=None, reason="the sentence has no word")
    held = {word for context in claim.contexts for word in words(context)}
    return Rating(value=sum(word in held for word in said) / len(said))


def words(text: str) -> list[str]:
    """Runs of letters and digits of any script, case folded."""
    return _WORD.findall(text.casefold())
