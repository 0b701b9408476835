"""Tuning questions written by the study's language model, over every document (fairness rule 2).

Question and answer are asked for separately (Balaguer et al. 2024, section 2.3: questions from the section, answers
in a step of their own). The supporting quote is chosen first, so it is verbatim by construction. An answer that fails
its mechanical check is replaced by the quote itself, and the item says so (`reference_source` "quote"): a small model
answers badly, and tuning on what it made up would be worse than tuning on the document's own sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fourfold.digest import digest_of
from fourfold.errors import FairnessError
from fourfold.ingest.candidates import Candidate, find_candidates, share_out
from fourfold.ingest.filters import refuse_question, refuse_reference
from fourfold.llm.port import Chat, Message
from fourfold.types import Block, Document, Question

# Completes chats with at most so many tokens; None where the model could not be asked.
Write = Callable[[Sequence[Chat], int], list[str | None]]

_QUESTION_SYSTEM = (
    "You write a question about one sentence of a manual. The question names its subject, so that it can be understood "
    "without the sentence. Reply with the question only."
)
_REFERENCE_SYSTEM = "Answer the question with the words of the sentence that answer it."
# (section, sentence, question, answer), invented, of no corpus.
_EXAMPLES = (
    (
        "Storing seeds",
        "Seeds must be stored below 8 degrees Celsius and at 40% humidity.",
        "At what temperature must seeds be stored?",
        "below 8 degrees Celsius",
    ),
    (
        "The committee",
        "The chair of the committee is elected every two years by secret ballot.",
        "How often is the chair of the committee elected?",
        "every two years",
    ),
    (
        "Volumes",
        "Run zfs-snap as root to copy a volume before it is resized.",
        "Which command copies a volume before it is resized?",
        "zfs-snap",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What generation gave: questions in the order found (split "tuning"), and refusals by reason."""

    questions: tuple[Question, ...]
    refused: Mapping[str, int]
    n_tried: int


def generate_questions(
    documents: Sequence[Document],
    blocks: Sequence[Block],
    write: Write,
    *,
    n_wanted: int,
    settings: GenerationSettings,
) -> Generated:
    """Write `n_wanted` questions, shared out over the documents by their size, at least one each.

    Works in rounds over all documents, so that the model is asked in large batches. May give fewer than wanted where
    candidates run out; never none for a document.

    Raises:
        FairnessError: no question could be written for some document.
    """
    queues = find_candidates(documents, blocks, seed=settings.seed)
    quota = share_out(n_wanted, {doc_id: len(queue) for doc_id, queue in queues.items()})
    limits = {doc_id: settings.candidates_per_question * quota[doc_id] for doc_id in queues}
    tried = dict.fromkeys(queues, 0)
    kept: dict[str, list[Question]] = {doc_id: [] for doc_id in queues}
    refused: Counter[str] = Counter()
    while True:
        batch: list[Candidate] = []
        for doc_id, queue in queues.items():
            missing = quota[doc_id] - len(kept[doc_id])
            # A document without any question yet may use all its candidates.
            limit = limits[doc_id] if kept[doc_id] else len(queue)
            upto = min(tried[doc_id] + 2 * missing, limit, len(queue))
            batch += queue[tried[doc_id] : upto]
            tried[doc_id] = max(tried[doc_id], upto)
        if not batch:
            break
        for question in _write_batch(batch, write, settings, refused):
            if len(kept[question.doc_id]) < quota[question.doc_id]:
                kept[question.doc_id].append(question)
    _require_cover(documents, kept)
    questions = tuple(question for own in kept.values() for question in own)
    return Generated(questions=questions, refused=dict(refused), n_tried=sum(tried.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """Order, effort and lengths (tokens)."""

    seed: int
    candidates_per_question: int
    max_question_tokens: int
    max_reference_tokens: int


def _write_batch(
    batch: Sequence[Candidate], write: Write, settings: GenerationSettings, refused: Counter[str]
) -> list[Question]:
    asked: list[tuple[Candidate, str]] = []
    texts = write([_question_chat(candidate) for candidate in batch], settings.max_question_tokens)
    for candidate, text in zip(batch, texts, strict=True):
        question = " ".join((text or "").split())
        reason = refuse_question(question, candidate.quote)
        if reason is None:
            asked.append((candidate, question))
        else:
            refused[f"question: {reason}"] += 1
    answers = write([_reference_chat(c, question) for c, question in asked], settings.max_reference_tokens)
    questions = []
    for (candidate, question), text in zip(asked, answers, strict=True):
        reference = " ".join((text or "").split())
        reason = refuse_reference(reference, question, candidate.quote)
        if reason is not None:
            refused[f"answer, quote used instead: {reason}"] += 1
        questions.append(_question(candidate, question, reference if reason is None else None))
    return questions


def _question(candidate: Candidate, question: str, reference: str | None) -> Question:
    return Question(
        question_id="g-" + digest_of([candidate.doc_id, candidate.start, candidate.end, question])[:16],
        split="tuning",
        question=question,
        reference=reference or candidate.quote,
        key_facts=(),
        doc_id=candidate.doc_id,
        document=candidate.document,
        page=candidate.page,
        start=candidate.start,
        end=candidate.end,
        quote=candidate.quote,
        section=candidate.section,
        reference_source="model" if reference else "quote",
        kind="generated",
    )


def _question_chat(candidate: Candidate) -> Chat:
    turns = [Message(role="system", content=_QUESTION_SYSTEM)]
    for section, sentence, question, _ in _EXAMPLES:
        turns.append(Message(role="user", content=f"Section: {section}\nSentence: {sentence}"))
        turns.append(Message(role="assistant", content=question))
    section = candidate.section[-1] if candidate.section else candidate.document
    turns.append(Message(role="user", content=f"Section: {section}\nSentence: {candidate.quote}"))
    return tuple(turns)


def _reference_chat(candidate: Candidate, question: str) -> Chat:
    turns = [Message(role="system", content=_REFERENCE_SYSTEM)]
    for _, sentence, asked, answer in _EXAMPLES:
        turns.append(Message(role="user", content=f"Sentence: {sentence}\nQuestion: {asked}"))
        turns.append(Message(role="assistant", content=answer))
    turns.append(Message(role="user", content=f"Sentence: {candidate.quote}\nQuestion: {question}"))
    return tuple(turns)


def _require_cover(documents: Sequence[Document], kept: Mapping[str, Sequence[Question]]) -> None:
    bare = [document.name for document in documents if document.status == "read" and not kept[document.doc_id]]
    if bare:
        raise FairnessError(
            "tuning would not see every document that retrieval sees (fairness rule 2)",
            seen=f"no tuning question passed the checks for: {', '.join(bare)}",
            expected="at least one tuning question per document",
            hint="move these files out of the corpus folder, or name a stronger model in model.id",
        )
