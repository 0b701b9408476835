"""Reading order and tables against what a person wrote down from the rendered pages."""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIXTURES = Path(__file__).parents[1] / "ingest" / "fixtures"
Rows = tuple[tuple[str, ...], ...]

_LEADER = re.compile(r"(?:\s?\.){2,}|…")
_MARKUP = re.compile(r"<br\s*/?>|</?[a-z]+>|\*\*|(?<!\w)_|_(?!\w)|`")


@dataclass(frozen=True)
class Transcribed:
    """A table as printed: `file` below the folder of PDFs, `page` from 1."""

    file: str
    page: int
    rows: Rows


def paragraph_starts() -> dict[str, list[str]]:
    """Per file, how its paragraphs begin, in the order in which they are read."""
    found: dict[str, list[str]] = json.loads((FIXTURES / "paragraph_starts.json").read_text(encoding="utf-8"))
    return found


def tables() -> list[Transcribed]:
    rows = json.loads((FIXTURES / "tables.json").read_text(encoding="utf-8"))
    return [Transcribed(row["file"], row["page"], tuple(map(tuple, row["rows"]))) for row in rows]


def plain(text: str) -> str:
    """What two spellings of one text share: no hyphens, no white space, no markup, straight quotes."""
    text = _LEADER.sub("", _MARKUP.sub(" ", unicodedata.normalize("NFKC", text)))
    return re.sub(r"[\s\u00ad‐-]", "", text).replace("’", "'").replace("\\|", "|").casefold()


def share_in_order(starts: Sequence[str], text: str) -> float:
    """The largest share of the starts that stand in the text in their order; one that is missing is out of order."""
    whole = plain(text)
    places = [at for start in starts if (at := whole.find(plain(start))) >= 0]
    ends: list[int] = []  # of the increasing runs of each length, the smallest last place
    for place in places:
        at = bisect_left(ends, place)
        ends[at : at + 1] = [place]
    return len(ends) / len(starts)


def markdown_tables(markdown: str) -> list[Rows]:
    """The pipe tables of a Markdown text, without their rules."""
    found: list[list[tuple[str, ...]]] = [[]]
    for line in [*markdown.splitlines(), ""]:
        if not line.lstrip().startswith("|"):
            found.append([])
        elif not re.fullmatch(r"[|\s:-]+", line) or "---" not in line:
            found[-1].append(tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]))
    return [tuple(rows) for rows in found if rows]


def cell_f1(wanted: Rows, got: Rows) -> float:
    """F1 over the filled cells: a cell counts if its text and column agree in the best alignment of the rows.

    All columns may be moved by the same one place, because an empty first column is a matter of taste.
    """
    n_cells = _n_filled(wanted) + _n_filled(got)
    return max(2 * _aligned(wanted, got, moved) / n_cells for moved in (-1, 0, 1)) if n_cells else 0.0


def best_f1(wanted: Rows, found: Iterable[Rows]) -> float:
    """The F1 of the table that agrees best; 0 where there is none."""
    return max((cell_f1(wanted, rows) for rows in found), default=0.0)


def _n_filled(rows: Rows) -> int:
    return sum(bool(plain(cell)) for row in rows for cell in row)


def _aligned(wanted: Rows, got: Rows, moved: int) -> int:
    best = [0] * (len(got) + 1)
    for row in wanted:
        before = best
        best = [0]
        for at, other in enumerate(got):
            best.append(max(before[at + 1], best[at], before[at] + _n_equal(row, other, moved)))
    return best[-1]


def _n_equal(row: Sequence[str], other: Sequence[str], moved: int) -> int:
    pairs = ((cell, other[at + moved]) for at, cell in enumerate(row) if 0 <= at + moved < len(other))
    return sum(bool(plain(a)) and plain(a) == plain(b) for a, b in pairs)
