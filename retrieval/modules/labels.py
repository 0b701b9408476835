"""Labels for the modules from a study's own questions: which chunks hold a question's answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fourfold.retrieval.modules.knowledge_filter import LabelledPair, Pair
from fourfold.types import Chunk, Question

# Share of the gold quote from which a chunk holds the answer, as for the retrieval metrics.
COVER = 0.8


def covered_share(question: Question, chunk: Chunk) -> float:
    """Share of the question's gold span that a chunk covers, 0 to 1; 0 for a question without gold."""
    length = question.end - question.start
    if chunk.doc_id != question.doc_id or length <= 0:
        return 0.0
    return max(0, min(chunk.end, question.end) - max(chunk.start, question.start)) / length


def label_passages(
    questions: Sequence[Question], found: Iterable[tuple[str, str]], chunks: Sequence[Chunk]
) -> list[LabelledPair]:
    """Each question with chunks that hold its answer and chunks that hold nothing of it.

    The gold belongs to it whether a search finds it or not. Chunks with a part of the quote under 80% say neither and
    are left out.

    Args:
        questions: with their gold spans.
        found: (question id, chunk id) of what a search gives, best first.
        chunks: of the corpus.
    """
    by_id = {chunk.chunk_id: chunk for chunk in chunks}
    by_document: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        by_document.setdefault(chunk.doc_id, []).append(chunk)
    by_question: dict[str, dict[str, Chunk]] = {}
    for question_id, chunk_id in found:
        by_question.setdefault(question_id, {})[chunk_id] = by_id[chunk_id]
    pairs = []
    for question in questions:
        own = by_document.get(question.doc_id, ())
        gold = {chunk.chunk_id: chunk for chunk in own if covered_share(question, chunk) >= COVER}
        for chunk in (gold | by_question.get(question.question_id, {})).values():
            share = covered_share(question, chunk)
            if share == 0 or share >= COVER:
                pair = Pair(premise=chunk.text, hypothesis=question.question)
                pairs.append(LabelledPair(pair=pair, entailed=share > 0))
    return pairs
