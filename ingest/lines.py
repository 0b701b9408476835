"""One printed line, its characters made plain, and lines joined to running text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from fourfold.types import BBox, BlockKind

SOFT_HYPHEN = "\u00ad"

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
    and colour of its first character, of most of it and of its last character. A table is one line of its kind, size 0,
    whose text is the table's Markdown.
    """

    text: str
    bbox: BBox
    size: float
    bold: bool
    styles: tuple[str, str, str] = ("", "", "")
    kind: BlockKind = "text"


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


def clean(text: str) -> str:
    """Characters as they are stored: composed, ligatures spelled out, white space made single, none without a shape."""
    text = " ".join(_DROPPED.sub("", text.translate(_EXPANDED)).split())
    if SOFT_HYPHEN in text:
        text = text[:-1].replace(SOFT_HYPHEN, "") + text[-1]
    return unicodedata.normalize("NFC", _LEADER.sub(" …", text).lstrip())
