"""What a prompt shows of the chunks found: their section, the best sentences, what fits, and in which order.

The same for answering, tuning and the latency pass (rule 4). With no step switched on it is the chunks in rank order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fourfold.retrieval.chunk import CountTokens
from fourfold.retrieval.context.budget import fit
from fourfold.retrieval.context.focus import Focus
from fourfold.retrieval.context.passage import Passage, passage_of
from fourfold.retrieval.context.section import SectionExpansion
from fourfold.types import Chunk, Retrieved


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Tokens that a question's passages may have together, by the student's tokenizer."""

    count_tokens: CountTokens
    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """The steps that are switched on, in the order in which they are taken.

    Args:
        chunks: by id.
        section: shows more of each chunk's section.
        focus: shows less of everything.
        budget: leaves passages out.
        order: 'best_last' puts the best passage beside the question.
    """

    chunks: Mapping[str, Chunk]
    section: SectionExpansion | None = None
    focus: Focus | None = None
    budget: Budget | None = None
    order: Literal["best_first", "best_last"] = "best_first"

    def assemble(
        self, retrieved: Iterable[Retrieved], questions: Sequence[tuple[str, str]]
    ) -> dict[str, tuple[Passage, ...]]:
        """By question id, the passages in the prompt's order; a citation [n] names the n-th.

        Args:
            retrieved: of these questions, in any order.
            questions: (question id, question); one without a row has no passage.
        """
        found: dict[str, tuple[Passage, ...]] = {name: () for name, _ in questions}
        for row in sorted(retrieved, key=lambda row: row.rank):
            found[row.question_id] += (passage_of(self.chunks[row.chunk_id]),)
        return self.arrange(found, dict(questions))

    def arrange(
        self, found: Mapping[str, Sequence[Passage]], questions: Mapping[str, str]
    ) -> dict[str, tuple[Passage, ...]]:
        """The same of passages, best first, by question id."""
        shown = {name: tuple(passages) for name, passages in found.items()}
        if self.section is not None:
            shown = {name: self.section.expand(passages) for name, passages in shown.items()}
        if self.focus is not None:
            shown = self.focus.narrow(questions, shown)
        if self.budget is not None:
            counted, limit = self.budget.count_tokens, self.budget.max_tokens
            shown = {name: fit(passages, counted, max_tokens=limit) for name, passages in shown.items()}
        return {name: passages[::-1] for name, passages in shown.items()} if self.order == "best_last" else shown
