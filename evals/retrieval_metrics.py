"""Retrieval against the gold span: independent of how the corpus was cut into chunks.

A question's gold is the character span of its quote. The first k chunks hit if together they cover at least 80% of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fourfold.errors import InputError
from fourfold.types import Chunk, Question

COVER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalScore:
    """One question's retrieval at k.

    `recall` is 1 if the k chunks cover the gold, else 0; `reciprocal_rank` is 1 / the first rank by which they do, 0
    if none; `ndcg` in [0, 1] has as gain the share of the span that a rank newly covers.
    """

    recall: float
    reciprocal_rank: float
    ndcg: float


def score_retrieval(question: Question, ranked: Sequence[Chunk], *, k: int) -> RetrievalScore:
    """Score the first k chunks, best first.

    nDCG: gains g_r (share of the gold span that rank r newly covers, Σ g ≤ 1) discounted by 1 / log2(1 + r); the ideal
    ranking covers the whole span at rank 1 (ideal DCG 1). Järvelin & Kekäläinen 2002, eq. 2, with base 2.

    Raises:
        InputError: the question has no gold span, so that there is nothing to find.
    """
    length = question.end - question.start
    if length <= 0:
        raise InputError(
            "retrieval cannot be scored without a gold span",
            seen=f"{question.question_id} with the span [{question.start}, {question.end})",
            expected="a question that the documents answer",
            hint="leave unanswerable questions out",
        )
    covered: set[int] = set()
    gain_sum = 0.0
    first: int | None = None
    for rank, chunk in enumerate(ranked[:k], start=1):
        if chunk.doc_id == question.doc_id:
            new = set(range(max(chunk.start, question.start), min(chunk.end, question.end))) - covered
            covered |= new
            gain_sum += len(new) / length / math.log2(1 + rank)
        if first is None and len(covered) >= COVER * length:
            first = rank
    return RetrievalScore(recall=float(first is not None), reciprocal_rank=1 / first if first else 0.0, ndcg=gain_sum)
