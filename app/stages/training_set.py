"""What an adapter is trained on: tuning questions, what the retriever shows for them, and what the settings make of it.

The control goes the same way over its own corpus.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from fourfold.app.context import Context
from fourfold.app.stages.retrieved import (
    ALL_MODULES,
    NOTHING_FOUND,
    Indexed,
    Module,
    find_passages,
    open_search,
    own_index,
)
from fourfold.arms import AdapterKind
from fourfold.evals.metrics import key_fact_recall
from fourfold.llm.port import Chat, Completion
from fourfold.passages import as_data
from fourfold.prompts import answer_chat, prompt_form
from fourfold.retrieval.context.citations import marks_of, without_marks
from fourfold.retrieval.context.passage import Passage, texts_of
from fourfold.study.tuning import TrainingForm
from fourfold.tuning.clean import Dropped, clean_rows, count_reasons
from fourfold.tuning.dpo import wrong_answers
from fourfold.tuning.drift import Kind, Probe
from fourfold.tuning.general import draw_general, read_general
from fourfold.tuning.raft import build_raft, gold_chunk
from fourfold.tuning.reference import Shown
from fourfold.tuning.rows import Draft, TuningRow, draft_rows, encode_rows
from fourfold.tuning.selection import select_likely, select_own
from fourfold.tuning.size import choose_size
from fourfold.tuning.spans import find_spans, with_spans
from fourfold.tuning.train import TrainingSet
from fourfold.types import Chunk, Question, Retrieved

_FORM_OF: Mapping[AdapterKind, TrainingForm] = {"without contexts": "closed_book", "with contexts": "with_context"}


class Retriever:
    """The study's retrieval path over one corpus; remembers what it gave.

    Args:
        context: the study; its results up to 'modules' are there.
        indexed: the corpus; None: the study's own.
        modules: those that have a part.
    """

    def __init__(
        self, context: Context, indexed: Indexed | None = None, *, modules: Collection[Module] = ALL_MODULES
    ) -> None:
        self._context = context
        self._indexed = own_index(context) if indexed is None else indexed
        self._modules = modules
        self._shown: dict[tuple[str, int], Retrieved] = {}
        self._passages: dict[str, tuple[Passage, ...]] = {}

    @property
    def chunks(self) -> Sequence[Chunk]:
        """Of the corpus."""
        return self._indexed.chunks

    def contexts(self, questions: Sequence[Question]) -> Mapping[str, Sequence[str]]:
        """By question id, the texts that its prompt shows when it is answered with retrieval."""
        pairs = [(question.question_id, question.question) for question in questions]
        found, passages = find_passages(self._context, pairs, self._indexed, modules=self._modules)
        self._shown.update({(row.question_id, row.rank): row for row in found.retrieved})
        self._passages.update(passages)
        return texts_of(passages, if_none=NOTHING_FOUND)

    def citations(self, questions: Sequence[Question]) -> dict[str, str]:
        """By question id, what an answer from its gold cites of what `contexts` gave."""
        return {q.question_id: marks_of(q, self._passages[q.question_id]) for q in questions}

    def rank(self, questions: Sequence[Question], k: int) -> dict[str, list[Chunk]]:
        """By question id, the k best chunks of the index, or all where there are fewer."""
        by_id = {chunk.chunk_id: chunk for chunk in self.chunks}
        ranked: dict[str, list[Chunk]] = {question.question_id: [] for question in questions}
        with open_search(self._context, self._indexed) as search:
            pairs = [(question.question_id, question.question) for question in questions]
            found = search(pairs, min(k, len(self.chunks)))
        for row in sorted(found, key=lambda row: row.rank):
            ranked[row.question_id].append(by_id[row.chunk_id])
        return ranked

    def shown(self, questions: Sequence[Question]) -> tuple[Retrieved, ...]:
        """What `contexts` gave for these questions, as rows."""
        names = {question.question_id for question in questions}
        return tuple(row for (name, _), row in self._shown.items() if name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A corpus as tuning sees it: its questions, and the study's retriever over it."""

    tuning: Sequence[Question]
    validation: Sequence[Question]
    retriever: Retriever


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A training set; `questions` are those trained on, their references as they are learnt."""

    data: TrainingSet
    questions: Sequence[Question]
    dropped: Sequence[Dropped]
    summary: Mapping[str, Any]


def form_of(context: Context, kind: AdapterKind) -> TrainingForm:
    """The form of an adapter's rows: the study's, but for the diagnostics of one form."""
    return _FORM_OF.get(kind, context.study.tuning.form)


def build_training_set(context: Context, source: Source, kind: AdapterKind, seed: int) -> Built:
    """Choose, encode and clean the rows of one adapter.

    Args:
        context: the study; its models load where a setting asks for answers of the base.
        source: of the study's own corpus, or of the control's.
        kind: which adapter.
        seed: of its tuning.

    Raises:
        QuestionError: nothing to train on, or less than the settings ask for.
    """
    tuning = context.study.tuning
    # The control is filled up to the tokens of the study's own rows.
    sized = choose_size(source.tuning, 1.0 if kind == "control" else tuning.size, seed=seed)
    builder = _Builder(context, source, form_of(context, kind), seed)
    questions = builder.selected(sized)
    rows, drafts = builder.rows(questions)
    if tuning.general is not None:
        general = draw_general(
            read_general(tuning.general.file), n_rows=len(rows), share=tuning.general.share, seed=seed
        )
        rows = (*rows, *encode_rows(context.student, general))
    rejected = builder.rejected(questions) if tuning.objective == "dpo" else {}
    if tuning.objective == "dpo":
        rows = tuple(row for row in rows if row.question_id in rejected)
    kept, dropped = clean_rows(rows, max_tokens=context.student.context_tokens)
    validation: tuple[TuningRow, ...] = ()
    if tuning.checkpoint == "best" and source.validation:
        encoded, _ = builder.rows(source.validation)
        validation, _ = clean_rows(encoded, max_tokens=context.student.context_tokens)
    probes = builder.probes(sized, drafts) if tuning.drift_documents else ()
    summary = {
        "n_questions": len(questions),
        "n_answers_selected": sum(a.reference != b.reference for a, b in zip(questions, sized, strict=True)),
        "n_general": sum(row.form == "general" for row in kept),
        "n_without_pair": len(questions) - len(rejected) if rejected else 0,
        "dropped": count_reasons(dropped),
        "dropped_rows": [dataclasses.asdict(row) for row in dropped],
    }
    data = TrainingSet(rows=kept, validation=validation, probes=probes, rejected=rejected)
    return Built(data=data, questions=questions, dropped=dropped, summary=summary)


class _Builder:
    def __init__(self, context: Context, source: Source, form: TrainingForm, seed: int) -> None:
        self.context = context
        self.study = context.study
        self.retriever = source.retriever
        self.form = form
        self.seed = seed

    def rows(self, questions: Sequence[Question]) -> tuple[tuple[TuningRow, ...], list[Draft]]:
        """Encoded rows with their drafts."""
        answers: dict[str, str] = {}
        cited: dict[str, str] = {}
        if self.form == "raft":
            tuning = self.study.tuning
            examples = build_raft(
                questions,
                self.retriever.chunks,
                self.retriever.rank,
                n_distractors=tuning.raft_distractors or max(1, self.study.retrieval.k - 1),
                gold_share=tuning.raft_gold_share,
                seed=self.seed,
            )
            contexts: Mapping[str, Sequence[str]] = {name: example.contexts for name, example in examples.items()}
            answers = {name: example.answer for name, example in examples.items()}
            questions = [question for question in questions if question.question_id in examples]
        else:
            contexts = self.retriever.contexts(questions)
            if self.study.answer.citations:
                cited = self.retriever.citations(questions)
        drafts = draft_rows(
            questions,
            contexts,
            instructions=self.study.answer.instructions,
            form=self.form,
            answers=answers,
            prompt=prompt_form(self.study.answer),
            cited=cited,
        )
        rows = encode_rows(self.context.student, drafts)
        if self.study.tuning.objective == "cit":
            rows = with_spans(self.context.student, rows, drafts, contexts)
        return rows, drafts

    def selected(self, questions: Sequence[Question]) -> tuple[Question, ...]:
        """With the answers that the study's selection chooses in place of the references."""
        selection = self.study.tuning.selection
        if selection == "none":
            return tuple(questions)
        contexts = self.retriever.contexts(questions)
        shown = [self._chat(q, contexts[q.question_id]) for q in questions]
        alone = [self._chat(q, None) for q in questions]
        own = {
            question.question_id: both
            for question, *both in zip(questions, self._answers(shown), self._answers(alone), strict=True)
        }
        if selection == "s3ft":
            return select_own(questions, own, _is_correct)
        prompts = dict(
            zip([q.question_id for q in questions], alone if self.form == "closed_book" else shown, strict=True)
        )

        def likelihood(asked: Sequence[tuple[Question, Sequence[str]]]) -> list[list[float]]:
            student = self.context.student
            scored = student.score(
                student.prepare([prompts[q.question_id] for q, _ in asked]), [texts for _, texts in asked], None
            )
            return [[fmean(one.logprobs) for one in of_question] for of_question in scored]

        return select_likely(questions, own, _is_correct, likelihood)

    def rejected(self, questions: Sequence[Question]) -> dict[str, tuple[int, ...]]:
        """Wrong answers of the base, from the best passage that is not the gold one or from memory."""
        if self.study.tuning.dpo_rejected == "memory":
            chats = [self._chat(question, None) for question in questions]
        else:
            ranked = self.retriever.rank(questions, self.study.retrieval.k + 4)
            others = {
                q.question_id: next((c for c in ranked[q.question_id] if not _holds(c, q)), None) for q in questions
            }
            # Where every passage that is searched holds the answer there is none to answer wrongly from.
            questions = [q for q in questions if others[q.question_id] is not None]
            chats = [self._chat(q, [chunk.text]) for q in questions if (chunk := others[q.question_id]) is not None]
        answers = dict(zip([q.question_id for q in questions], self._answers(chats), strict=True))
        return wrong_answers(self.context.student, questions, answers, _is_correct)

    def probes(self, questions: Sequence[Question], drafts: Sequence[Draft]) -> tuple[Probe, ...]:
        """Documents whose likelihood is followed: gold ones, shown ones that are not, and ones no prompt shows."""
        shown = "\n".join(message.content for draft in drafts for message in draft.chat)
        golds = {gold.chunk_id for q in questions if (gold := gold_chunk(q, self.retriever.chunks)) is not None}
        kinds: dict[Kind, list[Chunk]] = {"gold": [], "distractor": [], "unseen": []}
        for chunk in self.retriever.chunks:
            otherwise: Kind = "distractor" if as_data(chunk.text) in shown else "unseen"
            kinds["gold" if chunk.chunk_id in golds else otherwise].append(chunk)
        chance = random.Random(self.seed)  # noqa: S311 (a choice, not a secret)
        n = self.study.tuning.drift_documents
        return tuple(
            Probe(kind=kind, shown=self._shown(chunk))
            for kind, chunks in kinds.items()
            for chunk in chance.sample(chunks, min(n, len(chunks)))
        )

    def _shown(self, chunk: Chunk) -> Shown:
        # The question stands behind the document and is not read.
        chat = self._ask("?", [chunk.text])
        draft = Draft(question_id="", form="with contexts", chat=chat, answer="")
        spans = find_spans(self.context.student, draft, [chunk.text])
        return Shown(prompt_ids=self.context.student.encode([chat])[0], spans=spans)

    def _chat(self, question: Question, contexts: Sequence[str] | None) -> Chat:
        return self._ask(question.question, contexts)

    def _ask(self, question: str, contexts: Sequence[str] | None) -> Chat:
        settings = self.study.answer
        return answer_chat(settings.instructions, question, contexts, form=prompt_form(settings))

    def _answers(self, chats: Sequence[Chat]) -> list[str]:
        """What the base answers; nothing where it could not be asked."""
        written = self.context.generate(chats, max_tokens=self.study.answer.max_tokens, label="own answers")
        texts = [one.text if isinstance(one, Completion) and one.finish_reason == "stop" else "" for one in written]
        # The marks of what is learnt are those of the passages that its own prompt shows.
        return [without_marks(text) for text in texts] if self.study.answer.citations else texts


def _is_correct(answer: str, question: Question) -> bool:
    return key_fact_recall(answer, question) == 1.0


def _holds(chunk: Chunk, question: Question) -> bool:
    return chunk.doc_id == question.doc_id and chunk.start < question.end and question.start < chunk.end
