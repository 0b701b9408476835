"""Tables of one page, as cells and as Markdown.

Two ways to a grid: ruled tables through PyMuPDF's `find_tables`, run only where enough rules or boxes are drawn
(`looks_ruled`); tables whose columns are only aligned by `fourfold.ingest.aligned`. Either gives boxes; the text comes
from the page's own words, each put into exactly one cell, so that no character is lost or read twice. Everything is in
the frame of MuPDF's text, before the page's rotation; only text that runs left to right in it is looked at.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import pymupdf

from fourfold.ingest.columns import union

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fourfold.types import BBox

pymupdf.no_recommend_layout()  # else `find_tables` prints an advertisement to stdout, which is data

# The grid finder's time grows with the square of the drawn paths: a map of thousands is no table.
_MAX_PATHS = 3000
_MAX_CELL_CHARS = 1200
# More is a frame around a page's layout.
_MARK = re.compile(r"[^\w\s<>=+–—|/$%….-]+")


class Word(NamedTuple):
    """One word with the MuPDF block and line it stands in."""

    box: BBox
    text: str
    block: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table's cells, row by row; every row has as many as there are columns, empty ones are "".

    `lines` are the MuPDF blocks and lines whose words, all of them, are in the cells.
    """

    box: BBox
    rows: tuple[tuple[str, ...], ...]
    lines: frozenset[tuple[int, int]]


def looks_ruled(log: Iterable[tuple[str, BBox]]) -> bool:
    """Whether what is drawn on a page may be a grid: the cheap question before the dear one.

    Args:
        log: kind and box of everything drawn, as `Page.get_bboxlog` gives them.

    Returns:
        True for at least two horizontal and two vertical rules, or four boxes of a cell's size, which share edges.
    """
    paths = [box for kind, box in log if "path" in kind]
    if not 3 <= len(paths) <= _MAX_PATHS:
        return False
    across = [box for box in paths if box[3] - box[1] < 3 and box[2] - box[0] > 15]
    down = [box for box in paths if box[2] - box[0] < 3 and box[3] - box[1] > 6]
    boxes = [box for box in paths if box[2] - box[0] > 15 and 6 < box[3] - box[1] < 300]
    tops = {round(box[1] / 2) for box in (*across, *boxes)}
    lefts = {round(box[0] / 2) for box in (*down, *boxes)}
    shared = len(down) + len(boxes) - len(lefts)
    return (len(tops) >= 2 and len(lefts) >= 2 and len(across) + len(boxes) >= 2) and (
        (len(across) >= 2 and len(down) >= 2) or (len(boxes) >= 4 and shared >= 1)
    )


def ruled_tables(page: Any, words: Sequence[Word]) -> list[Table]:
    """The tables of a page whose cells are drawn.

    Args:
        page: the `pymupdf.Page`.
        words: its words that run left to right.

    Returns:
        Those that hold text as a table does: at least two rows and two columns, half of the rows with two filled cells.
    """
    # Without the layout analyser, whether or not it is installed: the same file must give the same text.
    found = page.find_tables(use_layout=False).tables
    turn = page.derotation_matrix if page.rotation else None
    tables: list[Table] = []
    for one in found:
        cells = [_box(cell, turn) for cell in one.cells if cell is not None]
        table = filled(cells, words) if len(cells) >= 4 else None
        if table is not None and not any(_overlap(table.box, other.box) for other in tables):
            tables.append(table)
    return tables


def filled(cells: Sequence[BBox], words: Sequence[Word]) -> Table | None:
    """The cells with their words, or None where they hold no table."""
    xs = _edges([cell[0] for cell in cells])
    ys = _edges([cell[1] for cell in cells])
    box = (min(c[0] for c in cells), min(c[1] for c in cells), max(c[2] for c in cells), max(c[3] for c in cells))
    grid: list[list[list[Word]]] = [[[] for _ in xs] for _ in ys]
    held = words_inside(words, box)
    for word in held:
        x, y = middle(word.box)
        cell = min(cells, key=lambda cell: _distance(cell, x, y))
        grid[_last_at(ys, cell[1])][_last_at(xs, cell[0])].append(word)
    rows = [row for found in grid for row in _rows_of(found)]
    return checked(box, rows, held)


def checked(box: BBox, rows: Sequence[tuple[str, ...]], words: Sequence[Word]) -> Table | None:
    """The cells as a table without empty rows and columns, or None where they do not look like one.

    Args:
        box: where they stand.
        rows: their texts, every row of the same length.
        words: what was put into them.
    """
    kept_rows = [row for row in rows if any(row)]
    columns = [at for at in range(len(rows[0]) if rows else 0) if any(row[at] for row in kept_rows)]
    kept = tuple(tuple(row[at] for at in columns) for row in kept_rows)
    n_filled = [sum(map(bool, row)) for row in kept]
    longest = max((len(cell) for row in kept for cell in row), default=0)
    if len(kept) < 2 or len(columns) < 2 or longest > _MAX_CELL_CHARS:
        return None
    if sum(n >= 2 for n in n_filled) < max(2, 0.5 * len(kept)) or sum(n_filled) < 0.3 * len(kept) * len(columns):
        return None
    # The points of a plot are letters to MuPDF.
    if sum(_MARK.fullmatch(word.text) is not None for word in words) > 0.15 * len(words):
        return None
    return Table(box=box, rows=kept, lines=frozenset((word.block, word.line) for word in words))


def words_inside(words: Iterable[Word], box: BBox) -> list[Word]:
    """The words of the lines whose middle lies in the box."""
    lines: dict[tuple[int, int], list[Word]] = {}
    for word in words:
        lines.setdefault((word.block, word.line), []).append(word)
    return [word for line in lines.values() if inside(union([word.box for word in line]), box) for word in line]


def inside(inner: BBox, box: BBox) -> bool:
    """Whether the middle of `inner` lies in `box`, two points of slack."""
    x, y = middle(inner)
    return box[0] - 2 <= x <= box[2] + 2 and box[1] - 2 <= y <= box[3] + 2


def middle(box: BBox) -> tuple[float, float]:
    """Where a box's diagonals cross."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def cell_text(words: Sequence[Word]) -> str:
    """Words of one cell, line by line, joined by spaces."""
    return " ".join(word.text for line in lines_of(words) for word in line)


def lines_of(words: Sequence[Word]) -> list[list[Word]]:
    """Words by the base line they stand on, from the top; in a line from the left."""
    lines: list[list[Word]] = []
    bottom = float("-inf")
    for word in sorted(words, key=lambda word: middle(word.box)[1]):
        if not lines or middle(word.box)[1] > bottom:
            lines.append([])
            bottom = middle(word.box)[1] + 0.4 * (word.box[3] - word.box[1])
        lines[-1].append(word)
    return [sorted(line, key=lambda word: word.box[0]) for line in lines]


def as_markdown(table: Table) -> str:
    """A pipe table whose first row is its heading; a cell's own pipes are escaped."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table.rows]
    lines.insert(1, "|" + " --- |" * len(table.rows[0]))
    return "\n".join(lines)


def _rows_of(cells: Sequence[Sequence[Word]]) -> list[tuple[str, ...]]:
    """A drawn row; several where most of its columns have the same base lines, because not every row is ruled."""
    lines = [lines_of(words) for words in cells]
    heights = [[median(middle(word.box)[1] for word in line) for line in some] for some in lines]
    levels = _levels([some for some in heights if some])
    if not levels or (len(levels) == 2 and not _mostly_numbers(cells)):
        return [tuple(cell_text(words) for words in cells)]
    slack = min(b - a for a, b in pairwise(levels)) / 2
    rows: list[list[str]] = [["" for _ in cells] for _ in levels]
    for column, (some, ys) in enumerate(zip(lines, heights, strict=True)):
        for line, y in zip(some, ys, strict=True):
            # A line below a level and above the next goes on in its cell.
            row = rows[max((at for at, level in enumerate(levels) if level <= y + slack), default=0)]
            row[column] = " ".join([row[column], *(word.text for word in line)]).strip()
    return [tuple(row) for row in rows]


def _levels(heights: Sequence[Sequence[float]]) -> Sequence[float]:
    """The base lines, two or more, that three of five columns and at least three have in common; else none."""
    counts = Counter(map(len, heights))
    n_levels, n_columns = counts.most_common(1)[0] if counts else (0, 0)
    if n_levels < 2 or n_columns < max(3, 0.6 * len(heights)):
        return ()
    same = [some for some in heights if len(some) == n_levels]
    slack = min(b - a for a, b in pairwise(same[0])) / 2
    return same[0] if all(abs(a - b) < slack for some in same for a, b in zip(same[0], some, strict=True)) else ()


def _mostly_numbers(cells: Sequence[Sequence[Word]]) -> bool:
    words = [word for some in cells for word in some]
    return sum(word.text[-1:].isdigit() for word in words) > 0.5 * len(words)


def _edges(values: Iterable[float]) -> list[float]:
    """Distinct edges, those within 2 points taken for one."""
    edges: list[float] = []
    for value in sorted(values):
        if not edges or value - edges[-1] > 2:
            edges.append(value)
    return edges


def _last_at(edges: Sequence[float], value: float) -> int:
    return max((at for at, edge in enumerate(edges) if edge <= value + 0.01), default=0)


def _distance(box: BBox, x: float, y: float) -> float:
    return max(box[0] - x, 0.0, x - box[2]) + max(box[1] - y, 0.0, y - box[3])


def _box(cell: BBox, turn: Any) -> BBox:
    turned = pymupdf.Rect(cell) * turn if turn else pymupdf.Rect(cell)
    return turned.x0, turned.y0, turned.x1, turned.y1


def _overlap(one: BBox, other: BBox) -> bool:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide > 0 and high > 0
