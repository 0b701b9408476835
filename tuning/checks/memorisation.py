"""What was learnt by heart: tuning questions as they were, reworded, and how far a reference goes on by itself.

An adapter that knows a fact answers its question in other words too; one that has memorised a row does not. Rewording
is mechanical, so that no model's own taste stands in it. Completion is after Carlini et al. 2021 (arXiv 2012.07805)
and Carlini et al. 2023 (arXiv 2202.07646, section 3): a prefix is given, and what follows is compared verbatim. Where
we differ: the prefix is the reference's first half in its own prompt, and the share of the rest that is met is counted,
for references are too short for their 50 tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fourfold.tuning.rows import TuningRow

# An opening and what asks the same; the first that fits is taken.
_OPENINGS: tuple[tuple[str, str], ...] = (
    (r"how many", "what number of"),
    (r"how often", "at what intervals"),
    (r"how long", "for what length of time"),
    (r"how much", "what amount of"),
    (r"when", "at what time"),
    (r"where", "in what place"),
    (r"why", "for what reason"),
    (r"who", "which person or group"),
    (r"which", "what"),
    (r"what", "which"),
)
_FRAME = "Please say, going by the documents: {}?"
# A reference of fewer tokens has no half worth completing.
MIN_TOKENS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """The beginning of a reference in its prompt, and the tokens that follow there, end token left out."""

    question_id: str
    token_ids: tuple[int, ...]
    rest: tuple[int, ...]


def reword(question: str) -> str:
    """The same question in another frame and, where its opening is known, with another opening."""
    bare = question.strip().rstrip("?").rstrip()
    for opening, other in _OPENINGS:
        found = re.match(rf"{opening}\b", bare, re.IGNORECASE)
        if found:
            return _FRAME.format(other + bare[found.end() :])
    return _FRAME.format(bare)


def prefixes_of(rows: Sequence[TuningRow]) -> list[Prefix]:
    """The first half of each closed-book row's answer, of those with `MIN_TOKENS` answer tokens or more."""
    found = []
    for row in rows:
        answer = row.answer_ids[:-1]
        if row.form != "without contexts" or len(answer) < MIN_TOKENS:
            continue
        half = len(answer) // 2
        found.append(Prefix(question_id=row.question_id, token_ids=row.prompt_ids + answer[:half], rest=answer[half:]))
    return found


def completed_share(written: Sequence[int], rest: Sequence[int]) -> float:
    """Share of the rest's tokens that were written, counted from its beginning up to the first other one, 0 to 1."""
    n_same = 0
    for own, wanted in zip(written, rest, strict=False):
        if own != wanted:
            break
        n_same += 1
    return n_same / len(rest)
