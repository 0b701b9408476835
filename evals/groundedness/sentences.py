"""Sentences of an answer, with their place in it."""

from __future__ import annotations

import re

_CLOSING = "\"'”’)\\]»」』）"
# A stop ends a sentence before white space; the stops of scripts that write no space end one anywhere; so does a line.
_BOUNDARY = re.compile(rf"[.!?…]+[{_CLOSING}]*(?=\s)|[。！？｡।؟]+[{_CLOSING}]*|[\r\n]+")
_ABBREVIATION = re.compile(
    r"\b(?:[A-Z]|[A-Z]\.[A-Z]|e\.g|i\.e|cf|vs|approx|Dr|Mr|Mrs|Ms|Prof|St|No|Nos|Fig|Figs|Eq|Sec|Ch|Vol|pp?)$"
)
_LONGEST = 12  # characters before a stop that an abbreviation may take


def split_sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Places [start, end) of the sentences that hold a letter or digit, in order, white space around them left out.

    A line is a sentence of its own, as in lists. English abbreviations and the numbers of list items end none; a stop
    before a small letter ends none.
    """
    cuts = [match.end() for match in _BOUNDARY.finditer(text) if _ends(text, match)]
    places = []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        part = text[start:end]
        kept = part.strip()
        if any(character.isalnum() for character in kept):
            first = start + len(part) - len(part.lstrip())
            places.append((first, first + len(kept)))
    return tuple(places)


def _ends(text: str, match: re.Match[str]) -> bool:
    if not match[0].startswith("."):
        return True
    before = text[max(match.start() - _LONGEST, 0) : match.start()]
    if _ABBREVIATION.search(before) or _is_list_number(before, whole=match.start() <= _LONGEST):
        return False
    return not text[match.end() : match.end() + _LONGEST].lstrip()[:1].islower()


def _is_list_number(before: str, *, whole: bool) -> bool:
    """Whether a line begins with nothing but the number before its stop; `whole`: `before` is all that there is."""
    rest, line_end, line = before.rpartition("\n")
    return (bool(line_end) or (whole and not rest)) and line.strip().isdigit()
