"""Chunks that never reach over two sections: a section is one, or several where it is longer than the limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fourfold.retrieval.chunk import CountTokens, Piece, chunk_by, pack
from fourfold.retrieval.chunkers.port import by_section
from fourfold.types import Block, Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class BySection:
    """At most `max_tokens` each; within a section up to `overlap` tokens repeat the chunk before."""

    count_tokens: CountTokens
    max_tokens: int
    overlap: int

    def chunk(self, blocks: Iterable[Block]) -> tuple[Chunk, ...]:
        """See the class. Short sections make short chunks: nothing is filled up from the next one."""
        return chunk_by(blocks, self.count_tokens, self._put_together, max_tokens=self.max_tokens)

    def _put_together(self, pieces: Sequence[Piece]) -> list[list[Piece]]:
        return [group for run in by_section(pieces) for group in pack(run, self.max_tokens, self.overlap)]
