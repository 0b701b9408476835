"""Text normalisation that filters and metrics share."""

from __future__ import annotations

import string
from collections.abc import Sequence

_ARTICLES = frozenset({"a", "an", "the"})
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_tokens(text: str) -> list[str]:
    """Tokens after SQuAD's normalisation: lower case, ASCII punctuation dropped, articles dropped, split at spaces.

    Source: Rajpurkar et al. 2016, `evaluate-v1.1.py`, `normalize_answer`. A hyphen joins its neighbours
    ("read-only" → "readonly"), as it does there. We differ in dropping articles only as whole tokens: beside
    punctuation that is not ASCII ("a–b") they stay.
    """
    return [token for token in text.lower().translate(_NO_PUNCTUATION).split() if token not in _ARTICLES]


def contains_run(tokens: Sequence[str], run: Sequence[str]) -> bool:
    """Whether `run` stands in `tokens` as consecutive tokens. An empty run is contained in nothing."""
    width = len(run)
    if width == 0:
        return False
    wanted = tuple(run)
    return any(tuple(tokens[i : i + width]) == wanted for i in range(len(tokens) - width + 1))
