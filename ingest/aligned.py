"""Tables without a drawn grid, told by their columns: between rules of one width, or by rows of aligned cells.

Only rows of at least three cells, two between rules, mostly short or numeric, count: lists, contents and columns of
prose have fewer or longer ones. Where a column begins and ends is white that runs through all rows but the heading's.
"""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING

from fourfold.ingest.columns import union
from fourfold.ingest.tables import Table, Word, cell_text, checked, lines_of, middle, words_inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fourfold.types import BBox

_MIN_ROWS = 3
_MAX_MEDIAN_CELL = 24  # letters; columns of prose have 30 and more to a line
_DASHES = frozenset("-–—")
_BRIDGES = frozenset({" -", " –", " —"})
_NUMERIC = re.compile(r"[<>≥≤~(\[]?[-+–−$€£]?\.?\d[\d.,:/%eE+–-]*[)\]%*]*|NA|NaN|[-–—]")


def aligned_tables(words: Sequence[Word], log: Iterable[tuple[str, BBox]], taken: Sequence[Table]) -> list[Table]:
    """The tables of a page whose columns are told by white space.

    Args:
        words: the page's words that run left to right.
        log: kind and box of everything drawn on it, as `Page.get_bboxlog` gives them.
        taken: the tables found already.

    Returns:
        Tables, from the top.
    """
    tables: list[Table] = []
    boxes = [table.box for table in taken]
    for box in _between_rules(log):
        if not any(_meet(box, other) for other in boxes):
            table = _table([_bridged(row) for row in lines_of(words_inside(words, box))], min_columns=2)
            if table is not None:
                tables.append(table)
                boxes.append(box)
    used = {line for table in (*taken, *tables) for line in table.lines}
    for head, rows in _runs_of_rows([word for word in words if (word.block, word.line) not in used]):
        table = _table(rows, min_columns=3, head=head)
        if table is not None:
            tables.append(table)
    return sorted(tables, key=lambda table: table.box[1])


def _between_rules(log: Iterable[tuple[str, BBox]]) -> list[BBox]:
    """Boxes between the first and the last of three horizontal rules and more with the same ends, as in books."""
    widths: list[list[BBox]] = []
    for kind, box in log:
        if "path" in kind and box[3] - box[1] < 3 and box[2] - box[0] > 60:
            same = (some for some in widths if abs(some[0][0] - box[0]) < 2 and abs(some[0][2] - box[2]) < 2)
            some = next(same, None)
            if some is None:
                widths.append([box])
            else:
                some.append(box)
    found = []
    for rules in widths:
        heights = sorted({round(rule[1]) for rule in rules})
        # Three to a table, where there are several of one width; else all of them are one table's.
        step = 3 if len(heights) % 3 == 0 else max(len(heights), 3)
        for first in range(0, len(heights) - 2, step):
            last = heights[min(first + step, len(heights)) - 1]
            found.append((rules[0][0] - 2, float(heights[first]), rules[0][2] + 2, float(last)))
    return found


def _runs_of_rows(words: Sequence[Word]) -> list[tuple[list[Word], list[list[Word]]]]:
    """Consecutive rows that have three cells or more, each run after the row above it (empty where none is near)."""
    rows = [_bridged(row) for row in lines_of(words)]
    runs: list[tuple[list[Word], list[list[Word]]]] = []
    for at, row in enumerate(rows):
        if not _is_tabular(row):
            continue
        if runs and at and rows[at - 1] is runs[-1][1][-1] and _follows(rows[at - 1], row):
            runs[-1][1].append(row)
        else:
            runs.append((rows[at - 1] if at and _follows(rows[at - 1], row) else [], [row]))
    return [(head, run) for head, run in runs if len(run) + bool(head) >= _MIN_ROWS]


def _is_tabular(row: Sequence[Word]) -> bool:
    cells = _cells(row)
    if sum(not word.text.strip(".") for word in row) > 2:
        return False  # a line of contents
    return len(cells) >= 3 and not _is_prose(row) and sum(_is_number(word.text) for word in row) >= 0.4 * len(cells)


def _is_prose(row: Sequence[Word]) -> bool:
    return median(sum(len(word.text) for word in cell) for cell in _cells(row)) > _MAX_MEDIAN_CELL


def _is_number(text: str) -> bool:
    return _NUMERIC.fullmatch(text) is not None


def _cells(row: Sequence[Word]) -> list[list[Word]]:
    """Words of a row, apart where the white between them is more than a word space (a third of an em)."""
    cells: list[list[Word]] = []
    right = float("-inf")
    for word in row:
        size = word.box[3] - word.box[1]
        numbers = bool(cells) and _is_number(word.text) and _is_number(cells[-1][-1].text)
        if not cells or word.box[0] - right > (0.25 if numbers else 0.7) * size:
            cells.append([])
        cells[-1].append(word)
        right = word.box[2]
    return cells


def _follows(above: Sequence[Word], below: Sequence[Word]) -> bool:
    gap = middle(below[0].box)[1] - middle(above[0].box)[1]
    size = below[0].box[3] - below[0].box[1]
    wide = min(above[-1].box[2], below[-1].box[2]) - max(above[0].box[0], below[0].box[0])
    return gap <= 2 * size and wide > 0


def _table(rows: Sequence[list[Word]], *, min_columns: int, head: list[Word] | None = None) -> Table | None:
    # Two lines of a listing between the rules of its frame line up by chance; two rows of a table hold a number.
    if len(rows) < 2 or (len(rows) == 2 and not any(_is_number(word.text) for word in rows[-1])):
        return None
    separators = _separators(rows)
    if len(separators) + 1 < min_columns:
        return None
    if head:
        narrowed = _separators([head, *rows])
        if len(narrowed) >= len(separators) and _heads(head, narrowed):
            rows, separators = [head, *rows], narrowed
    cells = []
    for row in rows:
        parts: list[list[Word]] = [[] for _ in range(len(separators) + 1)]
        for word in row:
            parts[sum(at <= middle(word.box)[0] for at in separators)].append(word)
        cells.append(tuple(cell_text(part) for part in parts))
    lengths = [len(cell) for row in cells for cell in row if cell]
    if median(lengths) > _MAX_MEDIAN_CELL or (head is not None and len(rows) < _MIN_ROWS):
        return None
    words = [word for row in rows for word in row]
    return checked(union([word.box for word in words]), cells, words)


def _heads(row: Sequence[Word], separators: Sequence[float]) -> bool:
    """Whether a row's words stand over most of the columns, none across the white between two."""
    columns = {sum(at <= middle(word.box)[0] for at in separators) for word in row}
    crossing = any(word.box[0] + 1 < at < word.box[2] - 1 for word in row for at in separators)
    return not crossing and len(columns) >= max(2, len(separators) / 2)


def _separators(rows: Sequence[Sequence[Word]]) -> list[float]:
    """Where white runs down through the rows, at most one in eight and the first aside (headings that span)."""
    size = median(word.box[3] - word.box[1] for row in rows for word in row)
    left, right = min(row[0].box[0] for row in rows), max(row[-1].box[2] for row in rows)
    n_bins = max(int((right - left) * 2) + 1, 1)
    covered = [0] * n_bins
    for row in rows:
        for at in {
            at for w in row for at in range(int((w.box[0] - left) * 2), min(int((w.box[2] - left) * 2) + 1, n_bins))
        }:
            covered[at] += 1
    allowed = len(rows) // 8
    found: list[tuple[float, float]] = []
    start: int | None = None
    for at, n in enumerate([*covered, len(rows)]):
        if n <= allowed and start is None:
            start = at
        elif n > allowed and start is not None:
            if (at - start) / 2 >= 0.25 * size:
                found.append((left + (start + at) / 4, (at - start) / 2))
            start = None
    return _without_sparse(rows, found)


def _without_sparse(rows: Sequence[Sequence[Word]], separators: Sequence[tuple[float, float]]) -> list[float]:
    """Where columns part, once those with few cells went to the nearer neighbour: words of a heading over numbers.

    `separators` are places and widths. Of neighbours equally near the right one is taken: numbers are set flush right.
    """
    kept = list(separators)
    fewest = max(2, 0.25 * len(rows))
    at = 0
    while kept and at <= len(kept):
        low = kept[at - 1][0] if at else float("-inf")
        high = kept[at][0] if at < len(kept) else float("inf")
        if sum(any(low < middle(word.box)[0] < high for word in row) for row in rows) >= fewest:
            at += 1
            continue
        to_left = at == len(kept) or (at > 0 and kept[at - 1][1] < 0.8 * kept[at][1])
        del kept[at - 1 if to_left else at]
        at = max(at - 1, 0)
    return [place for place, _ in kept]


def _bridged(row: Sequence[Word]) -> list[Word]:
    """The row with "a - b" as one word."""
    joined: list[Word] = []
    for word in row:
        last = joined[-1] if joined else None
        near = last is not None and word.box[0] - last.box[2] < 0.8 * (word.box[3] - word.box[1])
        one_line = last is not None and (last.block, last.line) == (word.block, word.line)
        if last and near and one_line and (word.text in _DASHES or last.text[-2:] in _BRIDGES):
            joined[-1] = last._replace(box=union([last.box, word.box]), text=f"{last.text} {word.text}")
        else:
            joined.append(word)
    return joined


def _meet(one: BBox, other: BBox) -> bool:
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])
