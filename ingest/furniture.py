"""Running headers, footers and page numbers → gone.

A line is furniture by where it stands and by what repeats, never by its looks: the same text (digits aside) on several
pages, or a number that counts with the pages. Headers that change with the section are found by their page number, or
by standing exactly where other furniture stands.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from fourfold.ingest.lines import Line
    from fourfold.ingest.pages import PageText

_BAND = 0.09  # of the page's height; the defaults of LaTeX and Word put headers above 0.07
_MIN_PAGES = 3
_MIN_SHARE = 0.2

_BARE = re.compile(
    r"\W*(?:(?:page|p\.|seite)\s*)?(?:\d{1,6}|[ivxlc]+)(?:\s*(?:/|of|von|sur|de)\s*\d{1,6})?\W*", re.IGNORECASE
)
_EDGES = " -–—|·•()[]."
_ROMAN = re.compile(r"(?=[ivxlc])c{0,3}(xc|xl|l?x{0,3})(ix|iv|v?i{0,3})", re.IGNORECASE)
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A line that may be furniture by its place: in a band, or the first or last of its page."""

    place: tuple[int, int, int]  # page's index, block's, line's
    page: int
    line: Line
    zone: Literal["top", "bottom"]
    in_band: bool
    outermost: bool

    @property
    def slot(self) -> Hashable:
        """Where on the page it stands and how large it is, in steps of 2 points and 1 point."""
        return self.zone, round(self.line.bbox[1] / 2), round(self.line.size)


def strip_furniture(pages: Sequence[PageText]) -> tuple[tuple[PageText, ...], int]:
    """Take running headers, footers and page numbers off every page.

    A text counts as repeated on at least 3 pages that are at least 20% of the pages from its first to its last: headers
    of odd and even pages, and of one chapter, repeat so. Rows that repeat but are a table's heading on each page of the
    table go as well.

    Args:
        pages: all pages of one document, in order.

    Returns:
        The pages without furniture, and how many characters (white space not counted) were taken off.
    """
    candidates = [candidate for index, page in enumerate(pages) for candidate in _candidates(page, index)]
    gone = _repeated(candidates, len(pages)) | _numbered(candidates, len(pages), body_size=_body_size(pages))
    gone |= _in_furniture_slots(candidates, gone)
    lines = [(index, line) for index, page in enumerate(pages) for line in _placed(page, index)]
    n_chars = sum(len("".join(line.text.split())) for _, (place, line) in lines if place in gone)
    return tuple(_without(page, index, gone=gone) for index, page in enumerate(pages)), n_chars


def _placed(page: PageText, index: int) -> Iterable[tuple[tuple[int, int, int], Line]]:
    for at, block in enumerate(page.blocks):
        for number, line in enumerate(block):
            yield (index, at, number), line


def _without(page: PageText, index: int, *, gone: set[tuple[int, int, int]]) -> PageText:
    blocks = (
        tuple(line for number, line in enumerate(block) if (index, at, number) not in gone)
        for at, block in enumerate(page.blocks)
    )
    return replace(page, blocks=tuple(block for block in blocks if block))


def _body_size(pages: Sequence[PageText]) -> float:
    sizes: Counter[float] = Counter()
    for page in pages:
        for block in page.blocks:
            for line in block:
                sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _candidates(page: PageText, index: int) -> list[_Candidate]:
    placed = list(_placed(page, index))
    if not placed:
        return []
    top = min(line.bbox[1] for _, line in placed)
    bottom = max(line.bbox[3] for _, line in placed)
    found = []
    for place, line in placed:
        middle = (line.bbox[1] + line.bbox[3]) / 2 / page.height
        in_band = middle < _BAND or middle > 1 - _BAND
        outermost = line.bbox[1] == top or line.bbox[3] == bottom
        if (in_band or outermost) and line.kind == "text":
            zone: Literal["top", "bottom"] = "top" if middle < 0.5 else "bottom"
            found.append(
                _Candidate(place=place, page=page.number, line=line, zone=zone, in_band=in_band, outermost=outermost)
            )
    return found


def _repeats(pages: Iterable[int], n_pages: int) -> bool:
    found = sorted(set(pages))
    share_of_span = len(found) / (found[-1] - found[0] + 1)
    # Every second page of a chapter is just over half of its span; a table that comes again is less.
    return len(found) >= _MIN_PAGES and (len(found) >= _MIN_SHARE * n_pages or share_of_span >= 0.5)


def _repeated(candidates: Sequence[_Candidate], n_pages: int) -> set[tuple[int, int, int]]:
    """Lines whose text, digits aside, repeats; outside the bands only at the same height."""
    by_text: defaultdict[Hashable, list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        text = re.sub(r"\d+", "#", candidate.line.text.casefold())
        if any(letter.isalpha() for letter in text):
            by_text[candidate.zone, text, None if candidate.in_band else candidate.slot].append(candidate)
    return {c.place for some in by_text.values() if _repeats((c.page for c in some), n_pages) for c in some}


def _numbered(candidates: Sequence[_Candidate], n_pages: int, *, body_size: float) -> set[tuple[int, int, int]]:
    """Lines that begin or end with a number that counts with the pages, and bare page numbers."""
    by_offset: defaultdict[tuple[str, int, Hashable], list[_Candidate]] = defaultdict(list)
    gone = set()
    for candidate in candidates:
        bare = _BARE.fullmatch(candidate.line.text) is not None
        # Headings that open their pages ("1 Aims", "2 Means") count with the pages too, but are larger.
        if candidate.line.size > 1.2 * body_size and not bare:
            continue
        for style, value in _edge_numbers(candidate.line.text):
            by_offset[style, value - candidate.page, bare or candidate.slot].append(candidate)
            if bare and candidate.outermost and value == candidate.page:
                gone.add(candidate.place)
    for (_, _, bare_or_slot), some in by_offset.items():
        pages = {candidate.page for candidate in some}
        counts = _repeats(pages, n_pages)
        gone |= {c.place for c in some if counts or (bare_or_slot is True and len(pages) >= 2 and c.outermost)}
    return gone


def _edge_numbers(text: str) -> set[tuple[str, int]]:
    """The numbers, arabic or roman, that are the first or the last word of a text; of "3 of 10" and "3/10" the 3."""
    words = re.sub(r"(\d)\s*(?:/|\bof\b|\bvon\b|\bsur\b|\bde\b)\s*\d+\W*$", r"\1", text).strip(_EDGES).split()
    numbers = set()
    for word in {words[0].strip(_EDGES), words[-1].strip(_EDGES)} if words else ():
        if re.fullmatch(r"[0-9]{1,6}", word):
            numbers.add(("arabic", int(word)))
        elif _ROMAN.fullmatch(word):
            values = [_ROMAN_VALUES[letter] for letter in word.lower()]
            pairs = zip(values, [*values[1:], 0], strict=True)
            numbers.add(("roman", sum(-value if value < after else value for value, after in pairs)))
    return numbers


def _in_furniture_slots(candidates: Sequence[_Candidate], gone: set[tuple[int, int, int]]) -> set[tuple[int, int, int]]:
    """Lines in a band that stand where at least half of the lines, on 3 pages or more, are furniture."""
    by_slot: defaultdict[Hashable, list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        if candidate.in_band:
            by_slot[candidate.slot].append(candidate)
    places = set()
    for some in by_slot.values():
        n_gone = sum(candidate.place in gone for candidate in some)
        if n_gone >= max(_MIN_PAGES, len(some) / 2):
            places |= {candidate.place for candidate in some}
    return places
