"""A span of a document's text → the rectangles on its pages that hold it, so that a citation can be shown.

Blocks keep one box for their first part, which is known without the file and coarse. Exact rectangles, one a line, are
looked for in the PDF when they are to be shown: what is compared are letters and digits alone, because our text joins
lines, takes hyphens away and puts white space in order.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pymupdf

from fourfold.ingest.columns import union
from fourfold.types import BLOCK_SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourfold.types import BBox, Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangle:
    """A part of a page, as displayed; points from its top left corner."""

    page: int
    bbox: BBox


class _Page(NamedTuple):
    """A page's letters, for each the word that it belongs to; words as (rectangle, number of block and line)."""

    number: int
    letters: str
    word_of: list[int]
    words: list[tuple[BBox, tuple[int, int]]]


def block_rectangles(blocks: Sequence[Block], *, start: int, end: int) -> tuple[Rectangle, ...]:
    """The boxes of the blocks that a span touches; of a block in several parts, that of its first.

    Args:
        blocks: one document's blocks, in order.
        start: of the span, an offset into the document's text.
        end: of it (exclusive).
    """
    return tuple(Rectangle(page=block.page, bbox=block.bbox) for block in _touched(blocks, start, end))


def line_rectangles(pdf: Any, blocks: Sequence[Block], *, start: int, end: int) -> tuple[Rectangle, ...] | None:
    """One rectangle for each line of a span.

    Args:
        pdf: the open `pymupdf.Document` that the blocks are of.
        blocks: its blocks, in order.
        start: of the span, an offset into the document's text.
        end: of it (exclusive).

    Returns:
        In reading order. None where its letters do not stand on its pages in one run, or in one at the end of a page
        and one on the next: pages that were read by OCR, cells of tables.
    """
    touched = _touched(blocks, start, end)
    text = BLOCK_SEPARATOR.join(block.text for block in touched)
    wanted = _letters(text[max(start - touched[0].start, 0) : end - touched[0].start]) if touched else ""
    if not wanted:
        return None
    pages = [_read(pdf[number - 1], number) for number in _numbers(touched)]
    for page in pages:
        at = _find(page, wanted, touched)
        if at is not None:
            return _lines(page, at, len(wanted))
    for page, after in pairwise(pages):
        length = _longest_start(page, wanted)
        rest = after.letters.find(wanted[length:])
        if 0 < length < len(wanted) and rest >= 0:
            return (
                *_lines(page, page.letters.rfind(wanted[:length]), length),
                *_lines(after, rest, len(wanted) - length),
            )
    return None


def _touched(blocks: Sequence[Block], start: int, end: int) -> list[Block]:
    return [block for block in blocks if block.start < end and start < block.end]


def _numbers(blocks: Sequence[Block]) -> list[int]:
    return sorted({number for b in blocks for number in range(b.page, (b.page_last or b.page) + 1)})


def _letters(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKD", text).casefold() if letter.isalnum())


def _read(page: Any, number: int) -> _Page:
    letters: list[str] = []
    word_of: list[int] = []
    words: list[tuple[BBox, tuple[int, int]]] = []
    turn = page.rotation_matrix if page.rotation else None
    for x0, y0, x1, y1, text, block, line, _ in page.get_text("words"):
        own = _letters(text)
        letters.append(own)
        word_of += [len(words)] * len(own)
        box = tuple(pymupdf.Rect(x0, y0, x1, y1) * turn) if turn else (x0, y0, x1, y1)
        words.append((box, (block, line)))
    return _Page(number, "".join(letters), word_of, words)


def _find(page: _Page, wanted: str, blocks: Sequence[Block]) -> int | None:
    """The first place within one of the blocks' boxes, else the first."""
    places = []
    at = page.letters.find(wanted)
    while at >= 0:
        places.append(at)
        at = page.letters.find(wanted, at + 1)
    boxes = [block.bbox for block in blocks if block.page == page.number]
    inside = (at for at in places if any(_holds(box, page.words[page.word_of[at]][0]) for box in boxes))
    return next(inside, places[0] if places else None)


def _holds(box: BBox, word: BBox) -> bool:
    x, y = (word[0] + word[2]) / 2, (word[1] + word[3]) / 2
    return box[0] - 1 <= x <= box[2] + 1 and box[1] - 1 <= y <= box[3] + 1


def _longest_start(page: _Page, wanted: str) -> int:
    """How many of the first letters stand on the page in one run."""
    low, high = 0, len(wanted)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if wanted[:middle] in page.letters else (low, middle - 1)
    return low


def _lines(page: _Page, at: int, length: int) -> tuple[Rectangle, ...]:
    by_line: dict[tuple[int, int], list[BBox]] = {}
    for place in sorted(set(page.word_of[at : at + length])):
        box, line = page.words[place]
        by_line.setdefault(line, []).append(box)
    return tuple(Rectangle(page=page.number, bbox=union(boxes)) for boxes in by_line.values())
