"""Pieces of MuPDF's blocks → paragraphs, lists, captions and notes as their author wrote them.

A block is parted where lines are indented; a paragraph that breaks off at a column's or a page's end is joined with the
one that goes on, whatever stands between them: footnotes, tables, captions. Joined, it keeps the place of its first
part.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from fourfold.ingest.captions import is_caption
from fourfold.ingest.footnotes import starts_note
from fourfold.ingest.lines import join_lines
from fourfold.ingest.lists import item_starts

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from fourfold.ingest.lines import Line
    from fourfold.ingest.sections import Piece

_ENDS = re.compile(r"[.!?:;…。！？؟][\"'”’»)\]]*(?:\s?\d{1,3})?$")  # a footnote's mark may follow
_BETWEEN = frozenset({"footnote", "table", "caption", "form"})


def arrange(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Part and join the pieces of a document.

    Args:
        pieces: headings, and the blocks under them, in reading order.

    Returns:
        The same lines; no line is in two pieces, and none is left out.
    """
    done: list[Piece] = []
    for piece in pieces:
        for part in _parted(piece):
            at = _goes_on_from(done, part)
            if at is None:
                done.append(part)
            else:
                done[at] = _joined(done[at], part)
    return tuple(done)


def text_of(piece: Piece, *, words: Container[str]) -> str:
    """The piece's text; items of a list and fields of a form on lines of their own.

    Args:
        piece: the piece.
        words: the document's words, see `join_lines`.
    """
    parts = (piece.lines[a:b] for a, b in pairwise((*piece.starts, len(piece.lines))))
    return "\n".join(text for part in parts if (text := join_lines(part, words=words)))


def _parted(piece: Piece) -> list[Piece]:
    if piece.kind == "footnote":
        return _cut(piece, [at for at, line in enumerate(piece.lines) if at and starts_note(line)])
    if piece.kind != "text":
        return [piece]
    starts = item_starts(piece.lines)
    if starts:
        return [replace(piece, kind="list", starts=starts)]
    if is_caption(" ".join(line.text for line in piece.lines)):
        return [replace(piece, kind="caption")]
    parts = _cut(piece, _indented(piece.lines))
    return [part for one in parts for part in (_parted(one) if len(parts) > 1 else [one])]


def _cut(piece: Piece, places: Sequence[int]) -> list[Piece]:
    cuts = [0, *places, len(piece.lines)]
    return [piece.with_lines(piece.lines[a:b]) for a, b in pairwise(cuts)] if places else [piece]


def _indented(lines: Sequence[Line]) -> list[int]:
    """Lines that open a paragraph: set in by half an em to four, after a line that ends a sentence."""
    if len(lines) < 3 or any(line.bbox[3] - line.bbox[1] > line.bbox[2] - line.bbox[0] for line in lines[:1]):
        return []
    left = min(line.bbox[0] for line in lines)
    indents = [(line.bbox[0] - left) / max(line.size, 1) for line in lines]
    if sum(indent > 0.4 for indent in indents) > 0.5 * len(lines):
        return []
    return [
        at
        for at in range(1, len(lines))
        if 0.5 <= indents[at] <= 4
        and _ENDS.search(lines[at - 1].text)
        and (at + 1 == len(lines) or indents[at + 1] < 0.4 or indents[at - 1] < 0.4)
    ]


def _goes_on_from(done: Sequence[Piece], part: Piece) -> int | None:
    """The place of the piece that the part goes on from, if it does."""
    if not done:
        return None
    last = done[-1]
    if part.kind in {"list", "form"} and last.kind == part.kind:
        return len(done) - 1 if (last.section, last.page_last) == (part.section, part.page) else None
    if part.kind == "footnote" and last.kind == "footnote" and not starts_note(part.lines[0]):
        return len(done) - 1
    if part.kind != "text":
        return None
    at = len(done) - 1
    while at > 0 and done[at].kind in _BETWEEN:
        at -= 1
    before = done[at]
    if before.kind not in {"text", "list"} or before.section != part.section:
        return None
    return at if _breaks_off(before, part, adjacent=at == len(done) - 1) else None


def _breaks_off(before: Piece, part: Piece, *, adjacent: bool) -> bool:
    last, first = before.lines[-1], part.lines[0]
    if _ENDS.search(last.text) or abs(last.size - first.size) > 0.6 or part.page - before.page_last > 1:
        return False
    if last.styles[1].split(" ")[0] != first.styles[1].split(" ")[0] and not first.text[:1].islower():
        return False
    apart = part.page > before.page_last or first.bbox[1] < last.bbox[1]
    begins_low = first.text[:1].islower() or last.text[-1:] in "-‐\u00ad,–—"
    n_words = len(last.text.split())
    if not apart:
        near = first.bbox[1] - last.bbox[3] < 0.8 * first.size
        return adjacent and near and begins_low and n_words >= 5 and before.kind == "text"
    full = last.bbox[2] >= max(line.bbox[2] for line in before.lines[-4:]) - 2 * last.size
    long = n_words >= 3 and len(first.text.split()) >= 3
    # A line by itself is always as wide as its block.
    whole = min(len(before.lines), len(part.lines)) > 1
    return (begins_low and n_words >= 2) or (full and long and whole and before.kind == "text")


def _joined(before: Piece, part: Piece) -> Piece:
    starts = before.starts
    if part.kind in {"list", "form"}:
        starts = (*starts, *(len(before.lines) + at for at in part.starts))
    box = before.bbox if part.page != before.page or part.kind == "text" else None
    joined = replace(before, lines=before.lines + part.lines, starts=starts, page_last=part.page)
    return joined if box else joined.boxed()
