"""The per-question table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourfold.evals.report.data import AnswerShown, ContextShown, QuestionShown
from fourfold.types import Answer, Chunk, Document, Question, Score


def show_questions(
    questions: Sequence[Question],
    answers: Sequence[Answer],
    scores: Sequence[Score],
    chunks: Sequence[Chunk],
    documents: Sequence[Document],
) -> tuple[QuestionShown, ...]:
    """Every test question with its retrieved chunks and each arm's answer, in the questions' order."""
    by_chunk = {chunk.chunk_id: chunk for chunk in chunks}
    names = {document.doc_id: document.name for document in documents}
    by_question: dict[str, list[Answer]] = {}
    for answer in answers:
        by_question.setdefault(answer.question_id, []).append(answer)
    of_answer: dict[tuple[str, int | None, str], dict[str, float | None]] = {}
    for score in scores:
        of_answer.setdefault((score.arm, score.tuning_seed, score.question_id), {})[score.metric] = score.value
    shown = []
    for question in questions:
        own = by_question.get(question.question_id, [])
        retrieved = max((answer.chunk_ids for answer in own), key=len, default=())
        shown.append(
            QuestionShown(
                question_id=question.question_id,
                question=question.question,
                reference=question.reference,
                key_facts=question.key_facts,
                document=question.document,
                page=question.page,
                section=" › ".join(question.section),
                quote=question.quote,
                stratum=str(question.stratum),
                kind=question.kind,
                contexts=tuple(
                    _context(rank, by_chunk[chunk_id], question, names)
                    for rank, chunk_id in enumerate(retrieved, start=1)
                ),
                answers=tuple(
                    _answer(answer, of_answer[answer.arm, answer.tuning_seed, answer.question_id]) for answer in own
                ),
            )
        )
    return tuple(shown)


def _context(rank: int, chunk: Chunk, question: Question, names: Mapping[str, str]) -> ContextShown:
    overlap = min(chunk.end, question.end) - max(chunk.start, question.start)
    same = chunk.doc_id == question.doc_id and overlap > 0
    return ContextShown(
        rank=rank,
        chunk_id=chunk.chunk_id,
        document=names[chunk.doc_id],
        page_first=chunk.page_first,
        page_last=chunk.page_last,
        section=" › ".join(chunk.section),
        text=chunk.text,
        holds_gold=overlap / (question.end - question.start) if same else 0.0,
    )


def _answer(answer: Answer, scores: Mapping[str, float | None]) -> AnswerShown:
    return AnswerShown(
        arm=answer.arm,
        tuning_seed=answer.tuning_seed,
        text=answer.text,
        failure=answer.failure,
        scores=scores,
        n_prompt_tokens=answer.n_prompt_tokens,
        n_answer_tokens=answer.n_answer_tokens,
        mean_logprob=answer.mean_logprob,
        generation=answer.generation,
    )
