"""Items of lists, told by their marks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourfold.ingest.lines import Line

_BULLET = re.compile(r"(?:[•▪◦‣●○■□►➢✓✔·*]|[o–—-](?=\s))\s*(?=.*\w)")  # the points of a plot have no words
_NUMBER = re.compile(r"(?:\(?\d{1,2}[.)]|\(?[a-zA-Z][.)]|\(?[ivx]{1,4}[.)])\s+(?=\S)")


def item_starts(lines: Sequence[Line]) -> tuple[int, ...]:
    r"""Where the items of a list begin.

    Args:
        lines: the lines of one block.

    Returns:
        The places of its lines that open an item, from 0; () where the block's first line opens none, because a number
        that only comes to stand at a line's begin is none ("in\n12. The …").
    """
    if not lines:
        return ()
    mark = next((mark for mark in (_BULLET, _NUMBER) if mark.match(lines[0].text)), None)
    if mark is None:
        return ()
    # Initials ("J. Smith") open a paragraph, not an item, unless another one follows.
    starts = tuple(at for at, line in enumerate(lines) if mark.match(line.text))
    return starts if mark is _BULLET or len(starts) > 1 or lines[0].text.lstrip("(")[:1].isdigit() else ()


def after_mark(item: str) -> int:
    """Where an item's text begins behind its mark; 0 for a line that has none."""
    match = _BULLET.match(item) or _NUMBER.match(item)
    return match.end() if match else 0
