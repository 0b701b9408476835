"""What a judge needs of a language model, and what it is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fourfold.llm.port import Chat, Completion, Refusal


class Judge(Protocol):
    """One model that judges."""

    @property
    def name(self) -> str:
        """As in the store and the report."""

    @property
    def has_probabilities(self) -> bool:
        """Whether `weigh` can be asked; else the judge's ratings are read from what it writes."""

    def weigh(self, chats: Sequence[Chat], labels: Sequence[str]) -> Sequence[tuple[float, ...] | Refusal]:
        """Natural log-probability of each label as the beginning of the reply to each chat."""

    def write(self, chats: Sequence[Chat]) -> Sequence[Completion | Refusal]:
        """The reply to each chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeItem:
    """One answer to be judged. It says nothing of who answered.

    Args:
        item_id: unique among those judged together.
        question: what was asked.
        answer: what was answered.
        reference: the right answer.
        passage: the gold passage, the same for every arm: an arm's own contexts would give it away.
        guideline: what a correct answer must contain; None where the question has none.
    """

    item_id: str
    question: str
    answer: str
    reference: str
    passage: str
    guideline: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one judge thinks of one item; `value` in [0, 1] is None exactly where `failure` says why.

    `probabilities` (of the levels, best first, adding up to 1) and `mass` (what they added up to before, in [0, 1])
    are there where they were read, `reason` where the judge wrote.
    """

    item_id: str
    value: float | None
    failure: str | None
    reason: str | None = None
    probabilities: tuple[float, ...] = ()
    mass: float | None = None
