"""What every chunker does, and what chunkers share that keep to sections.

llama-index's node parsers are no part of it: they give text without the offsets that a question's gold span is
compared with, and count tokens by another tokenizer than the student's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Protocol

from fourfold.retrieval.chunk import Piece
from fourfold.types import Block, Chunk


class Chunker(Protocol):
    """Cuts documents into what is indexed."""

    def chunk(self, blocks: Iterable[Block]) -> tuple[Chunk, ...]:
        """Chunks with exact offsets that together hold every word.

        Args:
            blocks: blocks of any documents, each document's together and in order.
        """
        ...


def by_section(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """One document's pieces, parted where another lowest section begins; headings alone go with what follows them."""
    runs: list[list[Piece]] = []
    waiting: list[Piece] = []
    for _, own in groupby(pieces, key=lambda piece: piece.section):
        waiting += own
        if not all(piece.heading for piece in waiting):
            runs.append(waiting)
            waiting = []
    return [*runs, waiting] if waiting else runs
