"""One PDF page → its lines, in blocks, in reading order.

MuPDF's blocks are taken as paragraphs; their order is not, because a producer may draw a page in any order: see
`fourfold.ingest.columns`. A table takes the place of its lines; the values of form fields come last.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import pymupdf

from fourfold.ingest.aligned import aligned_tables
from fourfold.ingest.columns import Group, Run, columns, group_of, in_reading_order, n_chars, union
from fourfold.ingest.forms import form_lines, shows
from fourfold.ingest.kept import NOTHING, Kept, compare
from fourfold.ingest.lines import SOFT_HYPHEN, Line, clean
from fourfold.ingest.tables import Table, Word, as_markdown, looks_ruled, ruled_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fourfold.types import BBox

# Without images (their bytes would be copied out) and with ligatures expanded.
_FLAGS = pymupdf.TEXTFLAGS_DICT & ~pymupdf.TEXT_PRESERVE_IMAGES & ~pymupdf.TEXT_PRESERVE_LIGATURES
_BOLD, _FAKE_BOLD = 16, 8  # bits of a span's `flags` and `char_flags`

_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageText:
    """A page's blocks of lines in reading order; `number` counts from 1, sizes are in points as displayed.

    `content` says what the page shows: text, or without any text images, drawings or nothing. `kept` says how much of
    MuPDF's text is in the blocks.
    """

    number: int
    width: float
    height: float
    blocks: tuple[tuple[Line, ...], ...]
    content: Literal["text", "images", "drawings", "nothing"]
    kept: Kept = NOTHING


def read_page(page: Any, *, number: int) -> PageText:
    """Read one page of an open PyMuPDF document.

    Args:
        page: the `pymupdf.Page`.
        number: its number, from 1.

    Returns:
        Its lines. Text that runs in another direction than most of the page (axis labels, margin stamps) comes last.
    """
    by_direction: dict[tuple[int, int], list[Group]] = {}
    turn = page.rotation_matrix if page.rotation else None
    textpage = page.get_textpage(flags=_FLAGS)
    blocks = page.get_text("dict", textpage=textpage)["blocks"]
    tables = _tables(page, textpage, blocks)
    in_tables = {place for table in tables for place in table.lines}
    for at, block in enumerate(blocks):
        lines = [line for number, line in enumerate(block.get("lines", ())) if (at, number) not in in_tables]
        for direction, runs in _runs(lines, turn).items():
            by_direction.setdefault(direction, []).extend(_paragraphs(runs))
    if tables:
        by_direction.setdefault((1, 0), []).extend(group_of([_table_run(table, turn)]) for table in tables)
    groups = [
        group
        for _, some in sorted(by_direction.items(), key=lambda item: -sum(n_chars(group) for group in item[1]))
        for group in in_reading_order(some)
    ]
    fields = tuple(form_lines(page))
    shown = (tuple(run.line for run in group.runs if not shows(fields, run.line)) for group in groups)
    read = (*(block for block in shown if block), *((field,) for field in fields))
    width, height = float(page.rect.width), float(page.rect.height)
    raw = [span["text"] for block in blocks for line in block.get("lines", ()) for span in line["spans"]]
    return PageText(
        number=number,
        width=width,
        height=height,
        blocks=read,
        content="text" if read else _shown_without_text(page),
        kept=compare(raw, (line.text for block in read for line in block)),
    )


def shares(pages: Iterable[PageText]) -> tuple[tuple[int, float], ...]:
    """Page and share of its text kept, of the pages with text; one below `kept.ENOUGH` wants a look."""
    return tuple((page.number, round(page.kept.share, 4)) for page in pages if page.kept.share is not None)


def words_of(pages: Iterable[PageText]) -> frozenset[str]:
    """Every unhyphenated word of the pages, in lower case."""
    lines = (line.text for page in pages for block in page.blocks for line in block)
    return frozenset(word for text in lines for word in _WORD.findall(text.lower()))


def _shown_without_text(page: Any) -> Literal["images", "drawings", "nothing"]:
    kinds = [kind for kind, *_ in page.get_bboxlog()]
    if any("image" in kind or "imgmask" in kind for kind in kinds):
        return "images"
    return "drawings" if kinds else "nothing"


def _tables(page: Any, textpage: Any, blocks: Sequence[dict[str, Any]]) -> list[Table]:
    """The page's tables; the dear search for drawn grids only where the page looks like one."""
    upright = {
        (at, number)
        for at, block in enumerate(blocks)
        for number, line in enumerate(block.get("lines", ()))
        if line["dir"][0] > 0.99
    }
    words = [
        Word((x0, y0, x1, y1), text, block, line)
        for x0, y0, x1, y1, raw, block, line, _ in page.get_text("words", textpage=textpage)
        if (block, line) in upright and (text := clean(raw))
    ]
    if len(words) < 4:
        return []
    log = [(kind, box) for kind, box, *_ in page.get_bboxlog()]
    ruled = ruled_tables(page, words) if looks_ruled(log) else []
    return [*ruled, *aligned_tables(words, log, ruled)]


def _table_run(table: Table, turn: Any) -> Run:
    shown = tuple(pymupdf.Rect(table.box) * turn) if turn else table.box
    return Run(table.box, Line(text=as_markdown(table), bbox=shown, size=0.0, bold=False, kind="table"))


def _runs(lines: Iterable[dict[str, Any]], turn: Any) -> dict[tuple[int, int], list[Run]]:
    """A MuPDF block's lines by the direction they run in, a multiple of 90° on the page before `turn`."""
    by_direction: dict[tuple[int, int], list[Run]] = {}
    for raw in lines:
        spans = [(span, len(span["text"].split())) for span in raw["spans"]]
        text = clean("".join(span["text"] for span, _ in spans))
        if not text.strip(SOFT_HYPHEN):
            continue
        inked = [span for span, n_words in spans if n_words]
        n_bold = sum(len(s["text"]) for s in inked if s["flags"] & _BOLD or s["char_flags"] & _FAKE_BOLD)
        bold = n_bold >= 0.9 * sum(len(s["text"]) for s in inked)
        size = round(max(span["size"] for span in inked), 1)
        x0, y0, x1, y1 = raw["bbox"]
        dx, dy = raw["dir"]
        direction = (1 if dx > 0 else -1, 0) if abs(dx) >= abs(dy) else (0, 1 if dy > 0 else -1)
        upright = {(1, 0): (x0, y0, x1, y1), (-1, 0): (-x1, -y1, -x0, -y0)}
        upright |= {(0, 1): (y0, -x1, y1, -x0), (0, -1): (-y1, x0, -y0, x1)}
        shown = tuple(pymupdf.Rect(raw["bbox"]) * turn) if turn else (x0, y0, x1, y1)
        line = Line(text=text, bbox=shown, size=size, bold=bold, styles=_styles(inked))
        by_direction.setdefault(direction, []).append(Run(upright[direction], line))
    return by_direction


def _styles(spans: Sequence[dict[str, Any]]) -> tuple[str, str, str]:
    names = [f"{span['font']} {span['color']}" for span in spans]
    n_chars: Counter[str] = Counter()
    for name, span in zip(names, spans, strict=True):
        n_chars[name] += len(span["text"])
    return names[0], n_chars.most_common(1)[0][0], names[-1]


def _paragraphs(runs: Sequence[Run]) -> list[Group]:
    """A MuPDF block as its lines; two where it runs on across a gutter because its producer drew row by row."""
    pieces = [group_of([run]) for run in runs]
    sides = columns(pieces) if any(_beside(a.box, b.box) for a, b in pairwise(runs)) else None
    if sides:
        return [part for side in sides for part in _paragraphs([run for group in side for run in group.runs])]
    rows: list[Run] = []
    for run in runs:
        if rows and _beside(rows[-1].box, run.box):
            rows[-1] = _merged(rows[-1], run)
        else:
            rows.append(run)
    return [group_of(rows)]


def _beside(left: BBox, right: BBox) -> bool:
    overlap = min(left[3], right[3]) - max(left[1], right[1])
    return right[0] >= left[2] - 1 and overlap > 0.5 * min(left[3] - left[1], right[3] - right[1])


def _merged(left: Run, right: Run) -> Run:
    gap = right.box[0] - left.box[2]
    space = " " if gap > 0.1 * min(left.line.size, right.line.size) else ""  # vertical scripts come letter by letter
    longer = max(left.line, right.line, key=lambda line: len(line.text))
    line = Line(
        text=clean(left.line.text + space + right.line.text),
        bbox=union([left.line.bbox, right.line.bbox]),
        size=max(left.line.size, right.line.size),
        bold=left.line.bold and right.line.bold,
        styles=(left.line.styles[0], longer.styles[1], right.line.styles[2]),
    )
    return Run(union([left.box, right.box]), line)
