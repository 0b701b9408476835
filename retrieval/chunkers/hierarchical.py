"""Chunks of three sizes in one index: of whole, half and quarter length, the smaller ones parts of the larger.

The sizes of llama-index's HierarchicalNodeParser stand in such a ratio too. Its retriever merges children into their
parent; here each size competes by itself, and a passage that lies within another one adds nothing to nDCG.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fourfold.retrieval.chunk import CountTokens, Piece, chunk_by, pack
from fourfold.retrieval.chunkers.port import by_section
from fourfold.types import Block, Chunk

_PARTS = (1, 2, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchical:
    """At most `max_tokens`, a half and a quarter of it, within one section; a longer sentence stays whole."""

    count_tokens: CountTokens
    max_tokens: int

    def chunk(self, blocks: Iterable[Block]) -> tuple[Chunk, ...]:
        """In the order in which they begin, of those the largest first; what is the same in two sizes stands once."""
        return chunk_by(blocks, self.count_tokens, self._put_together, max_tokens=self.max_tokens)

    def _put_together(self, pieces: Sequence[Piece]) -> list[list[Piece]]:
        by_span = {
            (child[0].start, -child[-1].end): child
            for run in by_section(pieces)
            for parent in pack(run, self.max_tokens, 0)
            for parts in _PARTS
            for child in pack(parent, self.max_tokens // parts, 0)
        }
        return [by_span[span] for span in sorted(by_span)]
