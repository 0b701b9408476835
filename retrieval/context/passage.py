"""A passage as a prompt shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fourfold.types import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One numbered text of a prompt, and the chunk that brought it there.

    Args:
        chunk: what was found.
        text: what is shown of it, or of what is around it.
        start: where the text begins in its document, characters.
        end: where it ends, exclusive; what lies between may be shown in part only.
    """

    chunk: Chunk
    text: str
    start: int
    end: int


def passage_of(chunk: Chunk) -> Passage:
    """The chunk itself."""
    return Passage(chunk=chunk, text=chunk.text, start=chunk.start, end=chunk.end)


def texts_of(shown: Mapping[str, Sequence[Passage]], *, if_none: str) -> dict[str, list[str]]:
    """By question id, the texts in the prompt's order; `if_none` for a question without a passage."""
    return {name: [one.text for one in passages] or [if_none] for name, passages in shown.items()}
