"""Rerankers: a slower look at the chunks that the searches found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fourfold.types import Chunk


class Reranker(Protocol):
    """Puts chunks into an order for a question."""

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> list[int]:
        """Positions of all the chunks, best first; ties stay in the order given."""


def best_first(scores: Sequence[float]) -> list[int]:
    """Positions by score, greatest first; ties stay in order."""
    return sorted(range(len(scores)), key=lambda at: -scores[at])
