"""Citations in an answer: [2], [1, 3], [1][3], [2-4]."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fourfold.retrieval.context.passage import Passage
from fourfold.types import Question

# A range as wide as this is no list of passages, and nothing is shown that many at once.
_WIDEST = 100
# From 1: an interval such as [0, 59] cites nothing.
_NUMBERS = r"[1-9]\d{0,3}(?:\s*[-–]\s*[1-9]\d{0,3})?"
_MARK = re.compile(
    rf"\[\s*(?:passages?\s+)?(?P<numbers>{_NUMBERS}(?:\s*(?:,|;|and|&)\s*{_NUMBERS})*)\s*\]", re.IGNORECASE
)
_NUMBER = re.compile(r"(\d+)(?:\s*[-–]\s*(\d+))?")


def cited_numbers(answer: str) -> tuple[int, ...]:
    """The numbers that an answer cites, each once, as they first stand; whether such a passage was shown is not asked.

    Args:
        answer: as the model wrote it.
    """
    found: list[int] = []
    for mark in _MARK.finditer(answer):
        for first, last in _NUMBER.findall(mark["numbers"]):
            low, high = int(first), int(last or first)
            found += range(low, high + 1) if low <= high < low + _WIDEST else (low, high)
    return tuple(dict.fromkeys(found))


def without_marks(answer: str) -> str:
    """The answer without its citations and the spaces before them: what metrics and judges compare."""
    return re.sub(rf"[^\S\n]*{_MARK.pattern}", "", answer, flags=re.IGNORECASE).strip()


def not_shown(cited: Sequence[int], n_shown: int) -> tuple[int, ...]:
    """The numbers that no passage of the prompt has.

    Args:
        cited: what an answer cites.
        n_shown: passages in its prompt, numbered from 1.
    """
    return tuple(number for number in cited if not 1 <= number <= n_shown)


def marks_of(question: Question, shown: Sequence[Passage]) -> str:
    """What an answer that rests on the gold cites: " [1, 3]", the passages that overlap it; nothing where none does.

    For answers that are learnt under a prompt that asks for citations.

    Args:
        question: with the gold span.
        shown: the passages of its prompt, in its order.
    """
    numbers = [
        str(number)
        for number, one in enumerate(shown, start=1)
        if one.chunk.doc_id == question.doc_id and one.start < question.end and question.start < one.end
    ]
    return f" [{', '.join(numbers)}]" if numbers else ""
