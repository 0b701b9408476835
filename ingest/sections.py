"""Headings → the section path of every piece of text.

With an outline its entries are looked up on their pages; without one, or with one that matches fewer than half of its
entries (outlines of another document exist), headings are told by size and weight. An entry that is not found starts
no section of its own, because where it starts is unknown; it stays in the paths of the entries below it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from fourfold.ingest.columns import union
from fourfold.ingest.lines import join_lines
from fourfold.ingest.pages import words_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from fourfold.ingest.lines import Line
    from fourfold.ingest.pages import PageText
    from fourfold.types import BBox, BlockKind

_MAX_TITLE_LINES = 4
_MAX_LEVELS = 4  # of headings told by their size

# "5.8.2 ", "3. ", "A.1 ", "IV. ", "Chapter 3: ", but not the "2024" or the "A" that a title may begin with.
_NUMBER = re.compile(
    r"(?:(?:chapter|part|section|appendix|annex|kapitel|teil|anhang|chapitre)\s+(?:\d+|[ivxlc]+|[a-z])\b[.:)–—-]*\s*"
    r"|(?:\d{1,3}|[A-Z])(?:\.\d{1,3})+[.:)]?\s+|\d{1,3}[.:)]?\s+|(?:[IVXLC]+|[A-Z])[.:)]\s+)(?=\S)",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?:chapter|part|appendix|annex)(?:\s+[\w-]+)?|\d{1,3}(?:\.\d{1,3})*\.?", re.IGNORECASE)
_NO_HEADING = re.compile(r"(?:figure|fig\.|table|listing)\s*\d|[•▪◦‣o–-]\s|.*…", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What becomes one block, with the path of headings it stands under (a heading's ends with itself).

    `bbox` is around its lines, or around those of its first part if it goes on elsewhere; `page_last` is the page of
    its last line. `starts` are the places of its lines that open a line of its text: a list's items.
    """

    kind: BlockKind
    page: int
    page_last: int
    lines: tuple[Line, ...]
    section: tuple[str, ...]
    bbox: BBox
    starts: tuple[int, ...] = (0,)

    def with_lines(self, lines: tuple[Line, ...]) -> Piece:
        """A part of it."""
        return replace(self, lines=lines, starts=(0,)).boxed()

    def boxed(self) -> Piece:
        """With the box around all of its lines."""
        return replace(self, bbox=union([line.bbox for line in self.lines]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """The pieces of a document in reading order, and how the headings were told.

    `n_entries` counts the outline's entries, `n_found` those whose heading was found on its page or the next to it.
    """

    pieces: tuple[Piece, ...]
    source: Literal["outline", "type"]
    n_entries: int
    n_found: int


class _Row(NamedTuple):
    line: Line
    page: int
    block: int
    n_in_block: int


class _Heading(NamedTuple):
    """Rows `first` to `after` (exclusive) of the document."""

    first: int
    after: int
    section: tuple[str, ...]


def find_sections(pages: Sequence[PageText], outline: Sequence[tuple[int, str, int]]) -> Sections:
    """Find the headings of a document.

    Args:
        pages: its pages, without furniture.
        outline: level (from 1), title and page (from 1, or -1) of each entry, as `pymupdf.Document.get_toc` gives them.

    Returns:
        Its text in pieces. A heading glued to the paragraph below it is a piece of its own.
    """
    rows = [
        _Row(line, page.number, block_number, len(block))
        for page in pages
        for block_number, block in enumerate(page.blocks)
        for line in block
    ]
    body_size = _body_size(rows)
    found = _by_outline(rows, outline, body_size=body_size)
    source: Literal["outline", "type"] = "outline" if len(found) >= max(2, len(outline) / 2) else "type"
    headings = found if source == "outline" else _by_type(rows, body_size, words=words_of(pages))
    pieces = tuple(_pieces(rows, sorted(headings)))
    return Sections(pieces=pieces, source=source, n_entries=len(outline), n_found=len(found))


def without_number(title: str) -> str:
    """A title without its leading section number, white space made single."""
    title = " ".join(title.split())
    return _NUMBER.sub("", title, count=1) if _NUMBER.match(title) else title


def _body_size(rows: Sequence[_Row]) -> float:
    sizes: Counter[float] = Counter()
    for row in rows:
        if row.line.kind == "text":
            sizes[round(row.line.size * 2) / 2] += len(row.line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _key(text: str) -> str:
    """What two spellings of one title share: letters and digits."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in folded if letter.isalnum()) or "".join(folded.split())


def _by_outline(rows: Sequence[_Row], outline: Sequence[tuple[int, str, int]], *, body_size: float) -> list[_Heading]:
    on_page: dict[int, list[int]] = {}
    for at, row in enumerate(rows):
        on_page.setdefault(row.page, []).append(at)
    keys = [_keys(row.line) for row in rows]
    path: list[tuple[int, str]] = []
    headings: list[_Heading] = []
    taken: set[int] = set()
    for level, title, page in outline:
        path = [*((above, name) for above, name in path if above < level), (level, without_number(title))]
        candidates = [
            (first, after)
            for near in (page, page + 1, page - 1)
            for first, after in _matches(keys, on_page.get(near, []), title=title)
            if taken.isdisjoint(range(first, after))
        ]
        last = headings[-1].first if headings else -1

        def unlikeliness(place: tuple[int, int], page: int = page, last: int = last) -> tuple[bool, bool, bool, int]:
            first = rows[place[0]]
            return first.page != page, not _stands_out(first.line, body_size), place[0] <= last, place[0]

        best = min(candidates, key=unlikeliness, default=None)
        if best is None:
            continue
        first = _with_label(rows, best[0], body_size=body_size)
        taken.update(range(first, best[1]))
        headings.append(_Heading(first, best[1], tuple(name for _, name in path if name)))
    return headings


def _keys(line: Line) -> tuple[str, str]:
    return (_key(line.text), _key(without_number(line.text))) if line.kind == "text" else ("", "")


def _matches(keys: Sequence[tuple[str, str]], places: Sequence[int], *, title: str) -> Iterator[tuple[int, int]]:
    """Runs of lines on one page that read as the title, with or without a number on either side."""
    wanted = {_key(title), _key(without_number(title))}
    for first in places:
        for text in keys[first]:
            after = first + 1
            while after < min(first + _MAX_TITLE_LINES, places[-1] + 1) and any(key.startswith(text) for key in wanted):
                if text in wanted:
                    break
                text += keys[after][0]  # noqa: PLW2901
                after += 1
            if text and text in wanted:
                yield first, after
                break


def _stands_out(line: Line, body_size: float) -> bool:
    return line.bold or line.size > 1.05 * body_size


def _with_label(rows: Sequence[_Row], first: int, *, body_size: float) -> int:
    """The first row of a heading with the "CHAPTER" and "TWO" above it."""
    for start in (first - 2, first - 1):
        above = rows[max(start, 0) : first]
        text = " ".join(row.line.text for row in above)
        plain = all(row.page == rows[first].page and _stands_out(row.line, body_size) for row in above)
        if start >= 0 and plain and _LABEL.fullmatch(text):
            return start
    return first


def _by_type(rows: Sequence[_Row], body_size: float, *, words: Container[str]) -> list[_Heading]:
    """Headings by their looks; levels in the order of their sizes, the largest first."""
    found: list[tuple[int, int, tuple[float, bool]]] = []
    first = 0
    while first < len(rows):
        after = _end_of_heading(rows, first, body_size=body_size)
        if after is not None:
            found.append((first, after, (rows[first].line.size, rows[first].line.bold)))
        first = after or first + 1
    styles = sorted({style for *_, style in found}, reverse=True)
    path: list[tuple[int, str]] = []
    headings = []
    for first, after, style in found:
        level = min(styles.index(style) + 1, _MAX_LEVELS)
        title = without_number(join_lines((row.line for row in rows[first:after]), words=words))
        path = [*((above, name) for above, name in path if above < level), (level, title)]
        headings.append(_Heading(first, after, tuple(name for _, name in path)))
    return headings


def _end_of_heading(rows: Sequence[_Row], first: int, *, body_size: float) -> int | None:
    """Where the heading that starts at `first` ends, if one does: larger lines, or bold ones that stand alone."""
    line = rows[first].line
    if line.kind != "text":
        return None
    larger = line.size >= 1.09 * body_size  # Word's third level is 12 points over 11
    starts_block = first == 0 or not _in_one_block(rows[first - 1], rows[first])
    if not (larger or line.bold) or not (starts_block or rows[first - 1].line.size < line.size):
        return None
    after = first + 1
    while after < len(rows) and _in_one_block(rows[first], rows[after]):
        if (rows[after].line.size, rows[after].line.bold) != (line.size, line.bold):
            break
        after += 1
    ends_block = after == len(rows) or not _in_one_block(rows[first], rows[after])
    if not larger and not (starts_block and ends_block and not _beside_another(rows, first, after=after)):
        return None
    text = " ".join(row.line.text for row in rows[first:after])
    return after if after - first <= (3 if larger else 2) and _reads_as_title(text) else None


def _reads_as_title(text: str) -> bool:
    begins = without_number(text)[:1]
    sentences = re.search(r"[^\W\d_]{2}\. +[^\W\d_]", text) or text.endswith((".", ",", ";", ":"))
    return (
        len(text) <= 120
        and sum(map(str.isalpha, text)) >= 3
        and (begins.isdigit() or (begins.isalpha() and not begins.islower()))
        and not sentences
        and not _NO_HEADING.match(text)
    )


def _in_one_block(one: _Row, other: _Row) -> bool:
    return (one.page, one.block) == (other.page, other.block)


def _beside_another(rows: Sequence[_Row], first: int, *, after: int) -> bool:
    """Whether a short block stands on the same height, as the cells of a table's head do."""
    top, bottom = rows[first].line.bbox[1], rows[after - 1].line.bbox[3]
    for step in (-1, 1):
        at = first - 1 if step < 0 else after
        while 0 <= at < len(rows) and rows[at].page == rows[first].page:
            box = rows[at].line.bbox
            if rows[at].n_in_block <= 2 and min(bottom, box[3]) - max(top, box[1]) > 0.5 * (box[3] - box[1]):
                return True
            at += step
    return False


def _pieces(rows: Sequence[_Row], headings: Sequence[_Heading]) -> Iterator[Piece]:
    section: tuple[str, ...] = ()
    starts = {heading.first: heading for heading in headings}
    at = 0
    while at < len(rows):
        heading = starts.get(at)
        kind: BlockKind = "heading" if heading else rows[at].line.kind
        after = heading.after if heading else at + 1
        section = heading.section if heading else section
        while not heading and after < len(rows) and after not in starts:
            if not _in_one_block(rows[at], rows[after]) or rows[after].line.kind != kind:
                break
            after += 1
        lines = tuple(row.line for row in rows[at:after])
        page, box = rows[at].page, union([line.bbox for line in lines])
        yield Piece(kind=kind, page=page, page_last=rows[after - 1].page, lines=lines, section=section, bbox=box)
        at = after
