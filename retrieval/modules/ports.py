"""What the modules need of others: a model that writes, one that scores, an index that searches, an embedder.

Every call takes a whole batch, so that an engine never sees one prompt at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fourfold.embed.port import Vectors
from fourfold.llm.port import Chat, Refusal
from fourfold.types import Retrieved


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model wrote, and the tokens (prompt and answer) that this took."""

    text: str
    n_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """Natural log-probability of each continuation, summed over its tokens; and the tokens read."""

    logprobs: tuple[float, ...]
    n_tokens: int


class Writer(Protocol):
    """Completes chats."""

    def __call__(self, chats: Sequence[Chat], *, max_tokens: int) -> Sequence[Reply | Refusal]:
        """One reply for each chat, in order, or why there is none."""


class Scorer(Protocol):
    """Scores the same continuations after every chat."""

    def __call__(self, chats: Sequence[Chat], continuations: Sequence[str]) -> Sequence[Likelihood | Refusal]:
        """One likelihood for each chat, in order, or why there is none."""


class Search(Protocol):
    """Searches an index."""

    def __call__(self, queries: Sequence[tuple[str, str]], limit: int) -> Sequence[Retrieved]:
        """The `limit` best chunks of each (id, query), rows of one query in rank order."""


class Embed(Protocol):
    """Embeds texts of one kind."""

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Vectors [N, D], float32, of length 1."""
