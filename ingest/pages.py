"""One PDF page → its lines, in blocks, in reading order.

MuPDF's blocks are taken as paragraphs; their order is not, because a producer may draw a page in any order. The order
comes from a recursive XY-cut over the blocks' boxes: a full-width heading splits the page across, a gutter between two
bodies of running text splits it down. Tables are read row by row; nothing here recognises them as tables.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pymupdf

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from fourfold.types import BBox

SOFT_HYPHEN = "\u00ad"

# Without images (their bytes would be copied out) and with ligatures expanded.
_FLAGS = pymupdf.TEXTFLAGS_DICT & ~pymupdf.TEXT_PRESERVE_IMAGES & ~pymupdf.TEXT_PRESERVE_LIGATURES
_BOLD, _FAKE_BOLD = 16, 8  # bits of a span's `flags` and `char_flags`

# Ligatures that a font maps to one code point, and the bullet of Symbol and Wingdings.
_EXPANDED = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\uf0b7": "•"}
)
# Controls that are not white space, zero-width marks, halves of surrogate pairs (no UTF-8 exists for them).
_DROPPED = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b\u2060\ufeff\ud800-\udfff]")
_LEADER = re.compile(r"(?:\s?\.){6,}")  # the dots of a table of contents: many tokens, no meaning

_HYPHENATED = re.compile(r"([^\W\d_]+)[-‐]$")
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER_RANGE = re.compile(r"\d[-‐–]$")
_CJK = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
_SUSPENDED = frozenset({"and", "or", "to", "und", "oder", "bis", "et", "ou"})  # "pre- and postprocessing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One printed line of a block.

    `bbox` is in points on the page as displayed; `size` is the largest font size in points; `bold` is whether at least
    nine in ten of its characters are. `text` may end in a soft hyphen, which `join_lines` takes away. `styles` are font
    and colour of its first character, of most of it and of its last character.
    """

    text: str
    bbox: BBox
    size: float
    bold: bool
    styles: tuple[str, str, str] = ("", "", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageText:
    """A page's blocks of lines in reading order; `number` counts from 1, sizes are in points as displayed.

    `content` says what the page shows: text, or without any text images, drawings or nothing.
    """

    number: int
    width: float
    height: float
    blocks: tuple[tuple[Line, ...], ...]
    content: Literal["text", "images", "drawings", "nothing"]


class _Run(NamedTuple):
    """Characters on one base line. `box` is in a frame where the text runs left to right; `line` has the shown one."""

    box: BBox
    line: Line


class _Group(NamedTuple):
    box: BBox
    runs: tuple[_Run, ...]


def read_page(page: Any, *, number: int) -> PageText:
    """Read one page of an open PyMuPDF document.

    Args:
        page: the `pymupdf.Page`.
        number: its number, from 1.

    Returns:
        Its lines. Text that runs in another direction than most of the page (axis labels, margin stamps) comes last.
    """
    by_direction: dict[tuple[int, int], list[_Group]] = {}
    turn = page.rotation_matrix if page.rotation else None
    for block in page.get_text("dict", flags=_FLAGS)["blocks"]:
        for direction, runs in _runs(block.get("lines", ()), turn).items():
            by_direction.setdefault(direction, []).extend(_paragraphs(runs))
    groups = [
        group
        for _, some in sorted(by_direction.items(), key=lambda item: -sum(_n_chars(group) for group in item[1]))
        for group in _in_reading_order(some)
    ]
    blocks = tuple(tuple(run.line for run in group.runs) for group in groups)
    content = "text" if blocks else _shown_without_text(page)
    width, height = float(page.rect.width), float(page.rect.height)
    return PageText(number=number, width=width, height=height, blocks=blocks, content=content)


def join_lines(lines: Iterable[Line], *, words: Container[str]) -> str:
    """Lines as running text, without the hyphens of line breaks.

    Args:
        lines: the lines, in order.
        words: the document's words in lower case. A hyphen at a line's end before a lower-case letter goes if the
            joined word is one of them, and stays (joined without a space) otherwise.

    Returns:
        One line of text.
    """
    parts: list[str] = []
    last: Line | None = None
    for line in lines:
        if last is not None:
            parts.extend((last.text, "") if _breaks_path(last, line) else _joint(last.text, line.text, words=words))
        last = line
    return "".join(parts) + (last.text.rstrip(SOFT_HYPHEN) if last is not None else "")


def words_of(pages: Iterable[PageText]) -> frozenset[str]:
    """Every unhyphenated word of the pages, in lower case."""
    lines = (line.text for page in pages for block in page.blocks for line in block)
    return frozenset(word for text in lines for word in _WORD.findall(text.lower()))


def _breaks_path(before: Line, after: Line) -> bool:
    """Whether a path or address goes on: a line ends in "/", the next begins in the same style, not all is in it."""
    goes_on = before.text.endswith("/") and before.styles[2] == after.styles[0]
    return goes_on and len({*before.styles, *after.styles}) > 1


def _joint(before: str, after: str, *, words: Container[str]) -> tuple[str, str]:
    """The line before a break as it stays, and what separates it from the next."""
    if before.endswith(SOFT_HYPHEN):
        return before.rstrip(SOFT_HYPHEN), ""
    tail, head = _HYPHENATED.search(before), _WORD.match(after)
    if tail and head and head[0] not in _SUSPENDED:
        known = head[0][0].islower() and (tail[1] + head[0]).lower() in words
        return (before[:-1] if known else before), ""
    if (tail or _NUMBER_RANGE.search(before)) and after[:1].isdigit():
        return before, ""
    if before.endswith("://") or (_CJK.match(before[-1:]) and _CJK.match(after[:1])):
        return before, ""
    return before, " "


def _clean(text: str) -> str:
    text = " ".join(_DROPPED.sub("", text.translate(_EXPANDED)).split())
    if SOFT_HYPHEN in text:
        text = text[:-1].replace(SOFT_HYPHEN, "") + text[-1]
    return unicodedata.normalize("NFC", _LEADER.sub(" …", text).lstrip())


def _shown_without_text(page: Any) -> Literal["images", "drawings", "nothing"]:
    kinds = [kind for kind, *_ in page.get_bboxlog()]
    if any("image" in kind or "imgmask" in kind for kind in kinds):
        return "images"
    return "drawings" if kinds else "nothing"


def _runs(lines: Iterable[dict[str, Any]], turn: Any) -> dict[tuple[int, int], list[_Run]]:
    """A MuPDF block's lines by the direction they run in, a multiple of 90° on the page before `turn`."""
    by_direction: dict[tuple[int, int], list[_Run]] = {}
    for raw in lines:
        spans = [(span, len(span["text"].split())) for span in raw["spans"]]
        text = _clean("".join(span["text"] for span, _ in spans))
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
        by_direction.setdefault(direction, []).append(_Run(upright[direction], line))
    return by_direction


def _styles(spans: Sequence[dict[str, Any]]) -> tuple[str, str, str]:
    names = [f"{span['font']} {span['color']}" for span in spans]
    n_chars: Counter[str] = Counter()
    for name, span in zip(names, spans, strict=True):
        n_chars[name] += len(span["text"])
    return names[0], n_chars.most_common(1)[0][0], names[-1]


def _paragraphs(runs: Sequence[_Run]) -> list[_Group]:
    """A MuPDF block as its lines; two where it runs on across a gutter because its producer drew row by row."""
    pieces = [_group([run]) for run in runs]
    sides = _columns(pieces) if any(_beside(a.box, b.box) for a, b in pairwise(runs)) else None
    if sides:
        return [part for side in sides for part in _paragraphs([run for group in side for run in group.runs])]
    rows: list[_Run] = []
    for run in runs:
        if rows and _beside(rows[-1].box, run.box):
            rows[-1] = _merged(rows[-1], run)
        else:
            rows.append(run)
    return [_group(rows)]


def _beside(left: BBox, right: BBox) -> bool:
    overlap = min(left[3], right[3]) - max(left[1], right[1])
    return right[0] >= left[2] - 1 and overlap > 0.5 * min(left[3] - left[1], right[3] - right[1])


def _merged(left: _Run, right: _Run) -> _Run:
    gap = right.box[0] - left.box[2]
    space = " " if gap > 0.1 * min(left.line.size, right.line.size) else ""  # vertical scripts come letter by letter
    longer = max(left.line, right.line, key=lambda line: len(line.text))
    line = Line(
        text=_clean(left.line.text + space + right.line.text),
        bbox=_union([left.line.bbox, right.line.bbox]),
        size=max(left.line.size, right.line.size),
        bold=left.line.bold and right.line.bold,
        styles=(left.line.styles[0], longer.styles[1], right.line.styles[2]),
    )
    return _Run(_union([left.box, right.box]), line)


def _union(boxes: Sequence[BBox]) -> BBox:
    x0s, y0s, x1s, y1s = zip(*boxes, strict=True)
    return min(x0s), min(y0s), max(x1s), max(y1s)


def _group(runs: Sequence[_Run]) -> _Group:
    return _Group(_union([run.box for run in runs]), tuple(runs))


def _n_chars(group: _Group) -> int:
    return sum(len(run.line.text) for run in group.runs)


def _in_reading_order(groups: list[_Group]) -> list[_Group]:
    if len(groups) < 2:
        return groups
    columns = _columns(groups)
    if columns is None:
        bands = _bands(groups)
        if len(bands) > 1:
            return [group for region in _regions(bands) for group in _in_reading_order(region)]
        columns = next(iter(_gaps(groups)), None)
    if columns is None:
        return sorted(groups, key=lambda group: (group.box[1], group.box[0]))
    return _in_reading_order(columns[0]) + _in_reading_order(columns[1])


def _bands(groups: list[_Group]) -> list[list[_Group]]:
    """Groups between white lines that cross the whole region. Boxes of dense text overlap a little: up to 2 points."""
    bands: list[list[_Group]] = []
    bottom = float("-inf")
    for group in sorted(groups, key=lambda group: group.box[1]):
        if group.box[1] >= bottom - 2:
            bands.append([])
        bands[-1].append(group)
        bottom = max(bottom, group.box[3])
    return bands


def _regions(bands: list[list[_Group]]) -> list[list[_Group]]:
    """Bands put together as long as one gutter runs through all of them: white lines may line up across columns."""
    regions = [bands[0]]
    for band in bands[1:]:
        if _columns(regions[-1] + band):
            regions[-1] = regions[-1] + band
        else:
            regions.append(band)
    return regions


def _gaps(groups: list[_Group]) -> list[tuple[list[_Group], list[_Group]]]:
    """Every split of the groups by a white line down the region, the widest white first."""
    across = sorted(groups, key=lambda group: group.box[0])
    splits = []
    right = across[0].box[2]
    for at, group in enumerate(across[1:], start=1):
        if group.box[0] - right >= 4:  # half an em of small print; federal registers have 7 points
            splits.append((group.box[0] - right, at))
        right = max(right, group.box[2])
    return [(across[:at], across[at:]) for _, at in sorted(splits, reverse=True)]


def _columns(groups: list[_Group]) -> tuple[list[_Group], list[_Group]] | None:
    """The groups left and right of a gutter between running text, or None."""
    if sum(len(group.runs) for group in groups) < 4:
        return None
    return next((split for split in _gaps(groups) if _is_gutter(*split)), None)


def _is_gutter(left: list[_Group], right: list[_Group]) -> bool:
    """Whether both sides are columns of text, and not the cells of a table or labels with their values."""
    boxes = [_union([group.box for group in side]) for side in (left, right)]
    overlap = min(box[3] for box in boxes) - max(box[1] for box in boxes)
    n_lines = [sum(len(group.runs) for group in side) for side in (left, right)]
    if max(n_lines) < 3 or overlap <= 0.5 * min(box[3] - box[1] for box in boxes):
        return False
    per_line = [sum(map(_n_chars, side)) / n for side, n in zip((left, right), n_lines, strict=True)]
    tops = [*sorted(group.box[1] for group in right), float("inf")]
    n_level = sum(tops[bisect_left(tops, group.box[1] - 2)] < group.box[1] + 2 for group in left)
    if n_level < 3 or n_level < 0.7 * min(len(left), len(right)):
        return min(per_line) >= 12  # letters to a line; labels and numbers have fewer
    filled = [
        sum(run.box[2] - run.box[0] for group in side for run in group.runs) / (n * (box[2] - box[0]))
        for side, n, box in zip((left, right), n_lines, boxes, strict=True)
    ]
    return min(per_line) >= 25 and min(filled) >= 0.6  # level rows: only full lines of prose are columns
