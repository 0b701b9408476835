"""Windows of whole sentences that move on by half: every sentence stands once away from a window's edge.

llama-index's SentenceWindowNodeParser embeds each sentence alone and shows its neighbours instead. Here the text that
is searched is the text that is shown, as for every other chunker, so that their retrieval can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fourfold.retrieval.chunk import CountTokens, Piece, chunk_by
from fourfold.retrieval.chunkers.port import by_section
from fourfold.types import Block, Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceWindow:
    """At most `max_tokens` each; a window begins at the middle sentence of the one before, within one section."""

    count_tokens: CountTokens
    max_tokens: int

    def chunk(self, blocks: Iterable[Block]) -> tuple[Chunk, ...]:
        """See the class."""
        return chunk_by(blocks, self.count_tokens, self._put_together, max_tokens=self.max_tokens)

    def _put_together(self, pieces: Sequence[Piece]) -> list[list[Piece]]:
        return [window for run in by_section(pieces) for window in self._windows(run)]

    def _windows(self, run: Sequence[Piece]) -> list[list[Piece]]:
        windows: list[list[Piece]] = []
        start = last = 0
        while last < len(run):
            end, n_tokens = start, 0
            while end < len(run) and (end == start or n_tokens + run[end].n_tokens <= self.max_tokens):
                n_tokens += run[end].n_tokens
                end += 1
            # A window that ends where the one before does is a part of it.
            if end > last:
                windows.append(list(run[start:end]))
                start, last = max(start + 1, (start + end) // 2), end
            else:
                start += 1
        return windows
