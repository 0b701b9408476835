"""How much of MuPDF's text is left in ours: nothing may be lost silently."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ENOUGH = 0.95  # a page below it is flagged

# What is left out on purpose: white space, hyphens (line breaks have theirs taken away), dots that lead to a page
# number, controls and marks without width.
_LEADER = re.compile(r"(?:\s?\.){6,}|…")
_UNCOUNTED = re.compile("[\\s\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u200b\\u2060\\ufeff\\ufffd\ud800-\udfff-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Characters of a page: `n_raw` that MuPDF gives, `n_kept` of them that are in our blocks, furniture included."""

    n_raw: int = 0
    n_kept: int = 0

    @property
    def share(self) -> float | None:
        """From 0 to 1; None for a page without text."""
        return self.n_kept / self.n_raw if self.n_raw else None


NOTHING = Kept()


def compare(raw: Iterable[str], ours: Iterable[str]) -> Kept:
    """Count the characters of one text that are in another, each as often as it is there.

    Args:
        raw: MuPDF's text in pieces.
        ours: our text of the same page in pieces.

    Returns:
        The counts, compatibility forms taken for one another (a ligature is its letters); white space and
        hyphens aside.
    """
    wanted, got = _counted(raw), _counted(ours)
    return Kept(n_raw=wanted.total(), n_kept=(wanted & got).total())


def _counted(texts: Iterable[str]) -> Counter[str]:
    text = _LEADER.sub("", "".join(texts))
    return Counter(_UNCOUNTED.sub("", unicodedata.normalize("NFKD", text)))
