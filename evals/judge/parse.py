"""Reading a rating out of what a judge wrote: tolerant of what stands around it, strict about the rating itself.

Nothing is guessed: a reply without exactly one rating is a failure with its reason, never a 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

_SHOWN = 80
_BARE = re.compile(r"\W*(?:(?:final\s+)?(?:rating|score)\W*)?(\d+)(?:\s*/\s*(\d+))?\W*", re.IGNORECASE)
_STATED = re.compile(
    r"^\W*(?:final\s+|my\s+)?(?:rating|score)\W{0,4}(?:is\s+)?\W{0,3}(\d+)(?:\s*/\s*(\d+))?\W*$",
    re.IGNORECASE | re.MULTILINE,
)


class _Reply(BaseModel):
    """The object that is asked for. What else a judge adds is passed over."""

    model_config = ConfigDict(strict=True, extra="ignore")

    rating: int | str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """A label, and the judge's reason for it where it gave one."""

    label: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Why a reply holds no rating."""

    reason: str


def parse_rating(
    text: str, labels: Sequence[str], *, finish_reason: Literal["stop", "length"] = "stop"
) -> Rating | Unreadable:
    """The rating in a reply.

    Read in this order: JSON objects with a `rating`, wherever they stand; a reply that is a rating and nothing else
    ("4", "Rating: 4", "4/5"); lines that state one. Two different ratings are none.

    Args:
        text: the reply.
        labels: what a rating may be.
        finish_reason: "length" where the reply was cut off.
    """
    if not text.strip():
        return Unreadable(reason="the judge wrote nothing")
    found = list(_in_json(text)) or list(_in_words(text, labels))
    if not found:
        cut = "cut off before a rating" if finish_reason == "length" else "no rating in the reply"
        return Unreadable(reason=f"{cut}: {_short(text)}")
    named = {rating.label for rating in found}
    if len(named) > 1:
        return Unreadable(reason=f"different ratings in one reply ({', '.join(sorted(named))}): {_short(text)}")
    if found[0].label not in labels:
        return Unreadable(reason=f"the rating {found[0].label[:20]!r} is none of {', '.join(labels)}")
    return found[0]


def _in_json(text: str) -> Iterator[Rating]:
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at != -1:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            try:
                reply = _Reply.model_validate(value)
            except ValidationError:
                pass
            else:
                yield Rating(label=str(reply.rating).strip(), reason=reply.reason.strip() or None)
        at = text.find("{", end)


def _in_words(text: str, labels: Sequence[str]) -> Iterator[Rating]:
    whole = _BARE.fullmatch(text.strip())
    for match in [whole] if whole else _STATED.finditer(text):
        label, out_of = match.groups()
        # "4/5" is on the scale asked for, "8/10" is not.
        if out_of is None or out_of == max(labels):
            yield Rating(label=label, reason=None)
        else:
            yield Rating(label=f"{label}/{out_of}", reason=None)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…")
