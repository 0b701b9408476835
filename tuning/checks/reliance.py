"""Does an answer follow the passage that it is given, where the passage contradicts what the weights have learnt?

A fact that was tuned on is edited in its own passage: a number or a named term of the reference is exchanged for
another, everywhere in the passage. An arm that reads answers with the new one; an arm that recites, with the old one.
After the counterfactual robustness of RGB (Chen et al. 2024, arXiv 2309.01431, section 3.2); there a false passage is
written for facts of the world, here it is the study's own, edited mechanically.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fourfold.text import contains_run, squad_tokens
from fourfold.types import Chunk, Question

Kind = Literal["number", "term", "given"]

_NUMBER = re.compile(r"(?<![\w.,])\d+(?![\w]|[.,]\d)")
# A word of letters with a capital that is not the first of its sentence, and such words beside it.
_TERM = re.compile(r"(?<=[a-z,;] )[A-Z][A-Za-z]+(?: [A-Z][A-Za-z]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A question with a passage that says something else than what is true.

    `old` and `new` are the wordings of the fact before and after; `kind` says what was exchanged ("given": by others).
    """

    question_id: str
    question: str
    passages: tuple[str, ...]
    old: tuple[str, ...]
    new: tuple[str, ...]
    kind: Kind


def edit_passages(questions: Sequence[Question], chunks: Sequence[Chunk], *, seed: int) -> list[Edited]:
    """One edited passage for each question whose fact can be exchanged; the others are left out.

    A number or term is exchanged where it stands in the reference and in the quote's own chunk and not in the question,
    which would give it away.

    Args:
        questions: with reference and quote.
        chunks: of the index.
        seed: which number or term comes in its place.
    """
    chance = random.Random(seed)  # noqa: S311 (a choice, not a secret)
    terms = sorted({term for question in questions for term in _TERM.findall(question.quote)})
    found = []
    for question in questions:
        chunk = next((c for c in chunks if _holds(c, question)), None)
        exchange = None if chunk is None else _exchange(question, chunk.text, terms, chance)
        if chunk is None or exchange is None:
            continue
        old, new, kind = exchange
        found.append(
            Edited(
                question_id=question.question_id,
                question=question.question,
                passages=(_whole(old).sub(new, chunk.text),),
                old=(old,),
                new=(new,),
                kind=kind,
            )
        )
    return found


def follows(answer: str, edited: Edited) -> bool:
    """Whether the answer states what the passage says, and not what it contradicts."""
    return _states(answer, edited.new) and not _states(answer, edited.old)


def recites(answer: str, edited: Edited) -> bool:
    """Whether it states what the passage contradicts, and not what it says."""
    return _states(answer, edited.old) and not _states(answer, edited.new)


def _states(answer: str, wordings: Sequence[str]) -> bool:
    tokens = squad_tokens(answer)
    return any(contains_run(tokens, squad_tokens(wording)) for wording in wordings)


def _holds(chunk: Chunk, question: Question) -> bool:
    return chunk.doc_id == question.doc_id and question.quote in chunk.text


def _exchange(
    question: Question, passage: str, terms: Sequence[str], chance: random.Random
) -> tuple[str, str, Kind] | None:
    """What is exchanged for what, and of which kind."""
    for pattern, kind in ((_NUMBER, "number"), (_TERM, "term")):
        held = pattern.findall(question.quote)
        for old in dict.fromkeys(held):
            if not _whole(old).search(question.reference) or _whole(old).search(question.question):
                continue
            others = _numbers_beside(old) if kind == "number" else list(terms)
            # What stands in the passage already would not show where the answer comes from.
            others = [new for new in others if not _whole(new).search(passage) and new not in question.question]
            if others:
                return old, chance.choice(others), "number" if kind == "number" else "term"
    return None


def _numbers_beside(number: str) -> list[str]:
    """Others of as many digits, or one more."""
    value = int(number)
    return [str(value + step) for step in range(1, 12) if value + step != 1]


def _whole(wording: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w]){re.escape(wording)}(?![\w])")
