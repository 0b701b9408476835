"""Tuning questions written by the study's language model, over every document (fairness rule 2).

Question and answer are asked for separately (Balaguer et al. 2024, section 2.3: questions from the section, answers
in a step of their own). The supporting quote is chosen first, so it is verbatim by construction. An answer that fails
its mechanical check is replaced by the quote itself, and the item says so (`reference_source` "quote"): a small model
answers badly, and tuning on what it made up would be worse than tuning on the document's own sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fourfold.digest import digest_of
from fourfold.errors import FairnessError
from fourfold.ingest.candidates import Candidate, Skip, find_candidates, share_out
from fourfold.ingest.dedup import NearDuplicates
from fourfold.ingest.filter_log import FilterCount, FilterLog
from fourfold.ingest.filters import refuse_question, refuse_reference
from fourfold.ingest.tags import Sections
from fourfold.ingest.writing_prompts import WritingPrompts
from fourfold.llm.port import Chat
from fourfold.types import Block, Document, Question

# Completes chats with at most so many tokens; None where the model could not be asked.
Write = Callable[[Sequence[Chat], int], list[str | None]]
DUPLICATE = "nearly repeats another question"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What generation gave: questions in the order found, refusals by reason, and what each filter saw and dropped."""

    questions: tuple[Question, ...]
    refused: Mapping[str, int]
    n_tried: int
    filters: tuple[FilterCount, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """Order, effort, lengths (tokens), prompts and tags.

    `filtered` False keeps whatever the model wrote. `covered` are ids of documents that have questions already, and may
    get no further one.
    """

    seed: int
    candidates_per_question: int
    max_question_tokens: int
    max_reference_tokens: int
    prompts: WritingPrompts = field(default_factory=WritingPrompts)
    tags: Sections = field(default_factory=dict)
    filtered: bool = True
    covered: frozenset[str] = frozenset()


def generate_questions(
    documents: Sequence[Document],
    blocks: Sequence[Block],
    write: Write,
    *,
    n_wanted: int,
    settings: GenerationSettings,
    skip: Skip | None = None,
) -> Generated:
    """Write `n_wanted` questions, shared out over the documents by their size, at least one each.

    Works in rounds over all documents, so that the model is asked in large batches. May give fewer than wanted where
    candidates run out; never none for a document.

    Args:
        documents: every one of them is covered.
        blocks: of these documents and of any others.
        write: the model.
        n_wanted: how many.
        settings: how.
        skip: sentences that no question is asked about.

    Raises:
        FairnessError: no question could be written for some document.
    """
    queues = find_candidates(documents, blocks, seed=settings.seed, skip=skip)
    quota = share_out(n_wanted, {doc_id: len(queue) for doc_id, queue in queues.items()})
    limits = {doc_id: settings.candidates_per_question * quota[doc_id] for doc_id in queues}
    tried = dict.fromkeys(queues, 0)
    kept: dict[str, list[Question]] = {doc_id: [] for doc_id in queues}
    desk = _Desk(write, settings)
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
        for question in desk.write_batch(batch):
            own = kept[question.doc_id]
            # A document's first is kept whatever it repeats: two editions of one manual are both to be covered.
            if len(own) < quota[question.doc_id] and desk.takes(question, anyway=not own):
                own.append(question)
    require_cover([document for document in documents if document.doc_id not in settings.covered], kept)
    questions = tuple(question for own in kept.values() for question in own)
    counts = desk.log.counts()
    return Generated(questions=questions, refused=dict(desk.refused), n_tried=sum(tried.values()), filters=counts)


class _Desk:
    """Writes batches, and remembers what was refused and what was kept."""

    def __init__(self, write: Write, settings: GenerationSettings) -> None:
        self._write = write
        self._settings = settings
        self._kept = NearDuplicates()
        self.log = FilterLog()
        self.refused: Counter[str] = Counter()

    def write_batch(self, batch: Sequence[Candidate]) -> list[Question]:
        settings = self._settings
        chats = [settings.prompts.question_chat(candidate, self._tags(candidate)) for candidate in batch]
        asked: list[tuple[Candidate, str]] = []
        for candidate, text in zip(batch, self._write(chats, settings.max_question_tokens), strict=True):
            question = " ".join((text or "").split())
            reason = refuse_question(question, candidate.quote, self.log) if settings.filtered else _unusable(question)
            if reason is None:
                asked.append((candidate, question))
            else:
                self.refused[f"question: {reason}"] += 1
        chats = [settings.prompts.answer_chat(c, question, self._tags(c)) for c, question in asked]
        answers = self._write(chats, settings.max_reference_tokens)
        return [self._answered(c, question, text) for (c, question), text in zip(asked, answers, strict=True)]

    def takes(self, question: Question, *, anyway: bool) -> bool:
        """Whether it nearly repeats no question taken before; `anyway` takes it even so."""
        if not self._settings.filtered:
            return True
        text = f"{question.question} {question.reference}"
        repeats = self._kept.add(question.question_id, text) is not None and not anyway
        if self.log.first_refusal({DUPLICATE: repeats}, text) is None:
            return True
        self.refused[DUPLICATE] += 1
        return False

    def _answered(self, candidate: Candidate, question: str, text: str | None) -> Question:
        reference = " ".join((text or "").split())
        filtered = self._settings.filtered
        reason = refuse_reference(reference, question, candidate.quote, self.log) if filtered else _unusable(reference)
        if reason is not None:
            self.refused[f"answer, quote used instead: {reason}"] += 1
        return _question(candidate, question, reference if reason is None else None, self._tags(candidate))

    def _tags(self, candidate: Candidate) -> tuple[str, ...]:
        return self._settings.tags.get((candidate.doc_id, candidate.section), ())


def _unusable(text: str) -> str | None:
    return None if text else "empty"


def _question(candidate: Candidate, question: str, reference: str | None, tags: tuple[str, ...]) -> Question:
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
        tags=tags,
    )


def require_cover(documents: Sequence[Document], kept: Mapping[str, Sequence[Question]]) -> None:
    """Stop where a document has no question.

    Raises:
        FairnessError: with the names of those documents.
    """
    bare = [document.name for document in documents if document.status == "read" and not kept.get(document.doc_id)]
    if bare:
        raise FairnessError(
            "tuning would not see every document that retrieval sees (fairness rule 2)",
            seen=f"no tuning question passed the checks for: {', '.join(bare)}",
            expected="at least one tuning question per document",
            hint="move these files out of the corpus folder, or name a stronger model in model.id",
        )
