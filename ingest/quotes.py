"""A quote → where it stands in a document's text; a place in the text → its page and section.

People and language models copy a passage with other quotation marks, dashes, ligatures, line breaks and hyphens than
the document has. What is compared is the text without those; what comes back are offsets into the text as it is.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourfold.types import Block

_ALIKE = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "\u00ad": None,
        "\u200b": None,
        "\ufeff": None,
    }
)


def locate(quote: str, text: str, *, start: int, end: int) -> tuple[int, int] | None:
    """Find a quote in a part of a text.

    Compared are the characters after compatibility decomposition (ligatures, no-break spaces, accents in either form),
    with quotation marks and dashes of one kind, without soft hyphens, and with any white space as one space. A hyphen
    before a line break may be there or not, in the quote as in the text. Case counts first; if nothing is found so, it
    does not.

    Args:
        quote: the words to find.
        text: the document's text.
        start: where to begin looking, an offset into `text`.
        end: where to stop looking (exclusive).

    Returns:
        Start and end (exclusive) of the first place that matches, as offsets into `text`; None if there is none, or if
        the quote has no characters.
    """
    part = text[start:end]
    for ignore_case in (False, True):
        for without_hyphens in (False, True):
            wanted, _ = _comparable(quote, ignore_case=ignore_case, without_hyphens=without_hyphens)
            found, offsets = _kept_comparable(part, ignore_case=ignore_case, without_hyphens=without_hyphens)
            at = _find(wanted, found)
            if at is not None:
                return start + offsets[at], start + offsets[at + len(wanted) - 1] + 1
    return None


def page_span(blocks: Sequence[Block], page: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of a page's text in its document's, or None if it has none.

    A paragraph that goes on from the page before, or on the next, belongs to both whole.

    Args:
        blocks: one document's blocks, in order.
        page: from 1.
    """
    here = [block for block in blocks if block.page <= page <= (block.page_last or block.page)]
    return (here[0].start, here[-1].end) if here else None


def page_at(blocks: Sequence[Block], start: int) -> int:
    """The page of the block that an offset falls in, or before which it does; see `section_at`."""
    at = bisect_right(blocks, start, key=lambda block: block.start) - 1
    return blocks[max(at, 0)].page


def section_at(blocks: Sequence[Block], start: int) -> tuple[str, ...]:
    """The section path of the block that an offset falls in; between two blocks, of the one before.

    Args:
        blocks: one document's blocks, in order.
        start: an offset into the document's text.
    """
    at = bisect_right(blocks, start, key=lambda block: block.start) - 1
    return blocks[at].section if at >= 0 else ()


@lru_cache(maxsize=4096)
def _letters(letter: str) -> str:
    return unicodedata.normalize("NFKD", letter.translate(_ALIKE)).translate(_ALIKE)


def _comparable(text: str, *, ignore_case: bool, without_hyphens: bool) -> tuple[str, Sequence[int]]:
    """The characters to compare, and the place in `text` that each one comes from."""
    letters: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text):
        for plain in _letters(letter):
            if not plain.isspace():
                letters.append(plain.lower() if ignore_case and len(plain.lower()) == 1 else plain)
                places.append(place)
            elif letters and letters[-1] != " ":
                letters.append(" ")
                places.append(place)
    if letters and letters[-1] == " ":
        letters.pop()
        places.pop()
    # White space after a word's hyphen is a line break's; the hyphen itself may be too, between letters.
    pattern = r"(?<=[^\W\d_])-\s*(?=[^\W\d_])" if without_hyphens else r"(?<=\w-)\s(?=\w)"
    joined = "".join(letters)
    dropped = {at for match in re.finditer(pattern, joined) for at in range(*match.span())}
    kept = [at for at in range(len(joined)) if at not in dropped]
    return "".join(joined[at] for at in kept), tuple(places[at] for at in kept)


# Many quotes are looked up in one document; a long one takes a fifth of a second to prepare.
_kept_comparable = lru_cache(maxsize=16)(_comparable)


def _find(wanted: str, found: str) -> int | None:
    at = found.find(wanted) if wanted else -1
    # "cafe" is not in "café": an accent after the last letter makes it another letter.
    while at >= 0 and unicodedata.combining(found[at + len(wanted) : at + len(wanted) + 1] or " "):
        at = found.find(wanted, at + 1)
    return at if at >= 0 else None
