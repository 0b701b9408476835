"""RAFT: the gold chunk among distractors, and an answer that quotes it.

Source: Zhang et al. 2024 (RAFT, arXiv 2403.10131, section 3). In a share p of the rows the gold chunk stands among
distractors, in the others distractors alone do; the answer is the same. Where we differ: the answer's quote is the
question's own verbatim evidence and its conclusion the reference, so that no text is written for it; the prompt is
the arm's; distractors are what the study's retriever ranks next, not drawn at random.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fourfold.errors import QuestionError
from fourfold.types import Chunk, Question


class Ranking(Protocol):
    """The study's retriever."""

    def __call__(self, questions: Sequence[Question], k: int) -> Mapping[str, Sequence[Chunk]]:
        """Per question id, the k best chunks (or all, where there are fewer), best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftExample:
    """What one question's row shows and teaches; `gold` is the place of the gold chunk, None where it is left out."""

    contexts: tuple[str, ...]
    gold: int | None
    answer: str


def gold_chunk(question: Question, chunks: Sequence[Chunk]) -> Chunk | None:
    """The first of the chunks that hold the whole quote verbatim; None where no chunk does."""
    holding = (c for c in chunks if c.doc_id == question.doc_id and c.start <= question.start and question.end <= c.end)
    return next((chunk for chunk in holding if question.quote in chunk.text), None)


def quoting_answer(question: Question) -> str:
    """The answer in RAFT's order: evidence first, then what follows from it."""
    return f'The passage says: "{question.quote}" So: {question.reference}'


def build_raft(
    questions: Sequence[Question],
    chunks: Sequence[Chunk],
    rank: Ranking,
    *,
    n_distractors: int,
    gold_share: float,
    seed: int,
) -> dict[str, RaftExample]:
    """Per question id, shuffled contexts and the quoting answer; questions whose quote no chunk holds are left out.

    Args:
        questions: tuning questions.
        chunks: of the index.
        rank: the study's retriever.
        n_distractors: beside the gold chunk; where that is left out one more takes its place.
        gold_share: p, the probability of a row to show the gold chunk.
        seed: order of contexts, and which rows lack the gold chunk.

    Raises:
        QuestionError: the corpus has fewer chunks than a row shows, or no question has a gold chunk.
    """
    if len(chunks) <= n_distractors + 1:
        raise QuestionError(
            "the corpus has too few chunks for that many distractors",
            seen=f"{len(chunks)} chunk(s), {n_distractors} distractor(s) beside the gold chunk",
            expected=f"at least {n_distractors + 2} chunks",
            hint="lower tuning.raft_distractors or index.chunk_tokens",
        )
    # Chunks overlap: the quote may stand in the gold chunk's neighbours too, and what holds it is no distractor.
    ranked = rank(questions, n_distractors + 4)
    chance = random.Random(seed)  # noqa: S311 (an order, not a secret)
    found: dict[str, RaftExample] = {}
    for question in questions:
        gold = gold_chunk(question, chunks)
        others = [chunk for chunk in ranked[question.question_id] if not _touches(chunk, question)]
        shown_gold = chance.random() < gold_share
        n_others = n_distractors + (not shown_gold)
        if gold is None or len(others) < n_others:
            continue
        shown = others[:n_others] + ([gold] if shown_gold else [])
        chance.shuffle(shown)
        found[question.question_id] = RaftExample(
            contexts=tuple(chunk.text for chunk in shown),
            gold=shown.index(gold) if shown_gold else None,
            answer=quoting_answer(question),
        )
    if questions and not found:
        raise QuestionError(
            "no tuning question can be put in RAFT's form",
            seen=f"{len(questions)} question(s), none whose quote stands whole in one chunk beside enough others",
            expected="at least one",
            hint="raise index.chunk_tokens or index.chunk_overlap, or set tuning.form to mixture",
        )
    return found


def _touches(chunk: Chunk, question: Question) -> bool:
    return chunk.doc_id == question.doc_id and chunk.start < question.end and question.start < chunk.end
