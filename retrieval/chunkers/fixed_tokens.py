"""Chunks of as many whole sentences as fit into a number of tokens, wherever sections begin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fourfold.retrieval.chunk import CountTokens, chunk_documents
from fourfold.types import Block, Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedTokens:
    """See `chunk_documents`."""

    count_tokens: CountTokens
    max_tokens: int
    overlap: int

    def chunk(self, blocks: Iterable[Block]) -> tuple[Chunk, ...]:
        """At most `max_tokens` each, of which up to `overlap` repeat the chunk before."""
        return chunk_documents(blocks, self.count_tokens, max_tokens=self.max_tokens, overlap=self.overlap)
