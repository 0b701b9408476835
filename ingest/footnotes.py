"""Footnotes → lines of their own kind, so that they stand apart from the paragraphs that they interrupt.

A footnote is told by where it stands and how: smaller than the body, below all body text of its column, in a run of
such lines of which one begins with a mark. A note's overhang from the page before has no mark and goes with the others.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourfold.ingest.lines import Line
    from fourfold.ingest.pages import PageText

_SMALLER = 0.93  # of the body's size; 9 points under 10 is .9
# "1. Open the file" is an item of a list.
_MARK = re.compile(r"(?:\[?\d{1,3}\]?|[*∗†‡§¶‖#]{1,3})\s?(?=[^\W\d_]|[“\"‘'(])")
_MIN_WORDS = 3  # to a line on average: labels of a figure have fewer


def mark_footnotes(pages: Sequence[PageText]) -> tuple[PageText, ...]:
    """Give the lines of footnotes their kind.

    Args:
        pages: all pages of one document, without furniture.

    Returns:
        The same pages and lines, in the same order.
    """
    sizes: Counter[float] = Counter()
    for page in pages:
        for block in page.blocks:
            for line in block:
                sizes[line.size] += len(line.text) if line.kind == "text" else 0
    body_size = sizes.most_common(1)[0][0] if sizes else 0.0
    return tuple(_marked(page, _SMALLER * body_size) for page in pages)


def starts_note(line: Line) -> bool:
    """Whether a line begins with a footnote's mark."""
    return _MARK.match(line.text) is not None


def _marked(page: PageText, limit: float) -> PageText:
    lines = [line for block in page.blocks for line in block if line.kind == "text"]
    body = [line for line in lines if line.size > limit]
    small = [line for line in lines if line.size <= limit]
    if not body or not small:
        return page
    feet: list[list[Line]] = []
    for line in sorted(small, key=lambda line: (line.bbox[0], line.bbox[1])):
        beside = [other for other in body if _share_column(line, other)]
        if not beside or any(other.bbox[3] > line.bbox[3] for other in beside):
            continue
        foot = next((foot for foot in feet if _share_column(foot[0], line)), None)
        if foot is None:
            feet.append([line])
        else:
            foot.append(line)
    notes = {id(line) for foot in feet if _is_foot(foot) for line in foot}
    if not notes:
        return page
    blocks = tuple(
        tuple(replace(line, kind="footnote") if id(line) in notes else line for line in block) for block in page.blocks
    )
    return replace(page, blocks=blocks)


def _is_foot(lines: Sequence[Line]) -> bool:
    n_words = sum(len(line.text.split()) for line in lines)
    return any(map(starts_note, lines)) and n_words >= _MIN_WORDS * len(lines)


def _share_column(one: Line, other: Line) -> bool:
    return min(one.bbox[2], other.bbox[2]) > max(one.bbox[0], other.bbox[0])
