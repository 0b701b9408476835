"""Chunks: runs of whole sentences, at most so many of the student's tokens, with exact offsets."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fourfold.digest import digest_of
from fourfold.types import BLOCK_SEPARATOR, Block, Chunk

CountTokens = Callable[[Sequence[str]], list[int]]
# Puts one document's pieces together: each group becomes a chunk.
Pack = Callable[[Sequence["Piece"]], list[list["Piece"]]]

_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence, or as much of one as fits, at `[start, end)`; `n_tokens` counts what parts it from the one before."""

    start: int
    end: int
    page: int
    page_last: int
    section: tuple[str, ...]
    heading: bool
    n_tokens: int


def chunk_documents(
    blocks: Iterable[Block], count_tokens: CountTokens, *, max_tokens: int, overlap: int
) -> tuple[Chunk, ...]:
    """Pack the sentences of each document into chunks.

    A chunk ends before a sentence that would not fit, and before a heading once it is half full. The next chunk
    repeats the last whole sentences that fit into `overlap`, unless a heading starts it. A sentence longer than
    `max_tokens` is cut at words.

    Args:
        blocks: blocks of any documents, each document's together and in order.
        count_tokens: token counts of texts by the student's tokenizer.
        max_tokens: tokens a chunk may have, blank lines between its blocks counted.
        overlap: tokens repeated from the chunk before, at most.
    """
    return chunk_by(blocks, count_tokens, lambda pieces: pack(pieces, max_tokens, overlap), max_tokens=max_tokens)


def chunk_by(
    blocks: Iterable[Block], count_tokens: CountTokens, put_together: Pack, *, max_tokens: int
) -> tuple[Chunk, ...]:
    """Cut each document into pieces of at most `max_tokens` and make a chunk of each group of them.

    Args:
        blocks: blocks of any documents, each document's together and in order.
        count_tokens: token counts of texts by the student's tokenizer.
        put_together: consecutive pieces in each group.
        max_tokens: tokens a piece may have.
    """
    by_document: dict[str, list[Block]] = {}
    for block in blocks:
        by_document.setdefault(block.doc_id, []).append(block)
    drafts: list[Chunk] = []
    for doc_id, own in by_document.items():
        text = BLOCK_SEPARATOR.join(block.text for block in own)
        pieces = _cut(own, text, count_tokens, max_tokens)
        for position, group in enumerate(put_together(pieces)):
            drafts.append(_chunk(doc_id, position, group, text))
    counts = count_tokens([chunk.text for chunk in drafts])
    return tuple(dataclasses.replace(chunk, n_tokens=n_tokens) for chunk, n_tokens in zip(drafts, counts, strict=True))


def _chunk(doc_id: str, position: int, group: Sequence[Piece], text: str) -> Chunk:
    start, end = group[0].start, group[-1].end
    body = next((piece for piece in group if not piece.heading), group[0])
    return Chunk(
        chunk_id=digest_of([doc_id, start, end, text[start:end]])[:24],
        doc_id=doc_id,
        position=position,
        start=start,
        end=end,
        page_first=min(piece.page for piece in group),
        page_last=max(piece.page_last for piece in group),
        section=body.section,
        n_tokens=sum(piece.n_tokens for piece in group),
        text=text[start:end],
    )


def _cut(blocks: Sequence[Block], text: str, count_tokens: CountTokens, max_tokens: int) -> list[Piece]:
    spans = [(block, start, end) for block in blocks for start, end in _sentences(block)]
    # Counted with what stands between it and the sentence before, so that a chunk's parts add up to the chunk.
    gaps = [0, *(end for _, _, end in spans)]
    counts = count_tokens([text[gap:end] for gap, (_, _, end) in zip(gaps, spans, strict=False)])
    pieces = []
    for (block, start, end), n_tokens in zip(spans, counts, strict=True):
        for part_start, part_end, part_tokens in _fit(text, (start, end, n_tokens), count_tokens, max_tokens):
            pages = block.page, block.page_last or block.page
            pieces.append(Piece(part_start, part_end, *pages, block.section, block.kind == "heading", part_tokens))
    return pieces


def _sentences(block: Block) -> list[tuple[int, int]]:
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(block.text)), len(block.text)]
    spans = [(block.start + a, block.start + b) for a, b in itertools.pairwise(cuts)]
    return [(a, b) for a, b in spans if b > a]


def _fit(
    text: str, span: tuple[int, int, int], count_tokens: CountTokens, max_tokens: int
) -> list[tuple[int, int, int]]:
    """The span itself if it fits; else its halves, cut at a space (at a character where there is none)."""
    start, end, n_tokens = span
    if n_tokens <= max_tokens or end - start < 2:
        return [span]
    middle = (start + end) // 2
    space = text.rfind(" ", start + 1, middle)
    cut = space + 1 if space > start else middle
    left, right = count_tokens([text[start:cut], text[cut:end]])
    return [
        *_fit(text, (start, cut, left), count_tokens, max_tokens),
        *_fit(text, (cut, end, right), count_tokens, max_tokens),
    ]


def pack(pieces: Sequence[Piece], max_tokens: int, overlap: int) -> list[list[Piece]]:
    """As many pieces to a chunk as fit; see `chunk_documents`."""
    groups: list[list[Piece]] = []
    current: list[Piece] = []
    n_tokens = 0
    for piece in pieces:
        full = n_tokens + piece.n_tokens > max_tokens
        if current and (full or (piece.heading and 2 * n_tokens >= max_tokens)):
            groups.append(current)
            current = [] if piece.heading else _tail(current, min(overlap, max_tokens - piece.n_tokens))
            n_tokens = sum(kept.n_tokens for kept in current)
        current.append(piece)
        n_tokens += piece.n_tokens
    if current:
        groups.append(current)
    return groups


def _tail(group: Sequence[Piece], overlap: int) -> list[Piece]:
    # Never the whole group: with the piece that closed it, it is over the limit.
    kept: list[Piece] = []
    for piece in reversed(group):
        if piece.heading or sum(p.n_tokens for p in kept) + piece.n_tokens > overlap:
            break
        kept.insert(0, piece)
    return kept
