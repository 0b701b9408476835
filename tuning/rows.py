"""The training rows: questions in the prompt forms of their arms, each prompt byte-equal to its arm's (rule 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fourfold.errors import ModelError, QuestionError
from fourfold.llm.port import Chat, Message
from fourfold.prompts import PLAIN, PromptForm, answer_chat
from fourfold.study.tuning import TrainingForm
from fourfold.types import Question

Form = Literal["without contexts", "with contexts", "general"]


class ChatTokenizer(Protocol):
    """What the training set needs of an engine: the same rendering and encoding as when answering."""

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""

    def render(self, chat: Chat) -> str:
        """The prompt's text, the assistant's turn opened."""

    def encode(self, chats: Sequence[Chat]) -> list[tuple[int, ...]]:
        """Token ids of each prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRow:
    """One example: a prompt and the answer that is learnt, end token included.

    `document_spans` are the prompt's tokens [start, end) that are of one context each, in the order shown; empty where
    nobody asked for them.
    """

    question_id: str
    form: Form
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    document_spans: tuple[tuple[int, int], ...] = ()

    @property
    def n_tokens(self) -> int:
        """Prompt and answer."""
        return len(self.prompt_ids) + len(self.answer_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A row before it is encoded."""

    question_id: str
    form: Form
    chat: Chat
    answer: str


def draft_rows(  # noqa: PLR0913 (questions, what they are shown, and what is learnt)
    questions: Sequence[Question],
    contexts: Mapping[str, Sequence[str]],
    *,
    instructions: str,
    form: TrainingForm,
    answers: Mapping[str, str] | None = None,
    prompt: PromptForm = PLAIN,
    cited: Mapping[str, str] | None = None,
) -> list[Draft]:
    """Drafts in the questions' order, each pair's closed-book row first.

    Args:
        questions: tuning questions.
        contexts: per question id, the chunk texts that its prompt shows, in order; not looked at for closed_book.
        instructions: the study's answer instructions.
        form: mixture: both forms; closed_book: without contexts; else with them.
        answers: per question id, what is learnt in place of the reference.
        prompt: of the study's prompts with contexts.
        cited: per question id, the citation that stands behind what is learnt with contexts.

    Raises:
        QuestionError: no questions.
    """
    if not questions:
        raise QuestionError(
            "there is nothing to tune on", seen="0 tuning questions", expected="at least 1", hint="raise n_tuning"
        )
    answers, cited = answers or {}, cited or {}
    return [
        Draft(
            question_id=question.question_id,
            form=row_form,
            chat=answer_chat(instructions, question.question, shown, form=prompt),
            answer=answers.get(question.question_id, question.reference)
            + ("" if shown is None else cited.get(question.question_id, "")),
        )
        for question in questions
        for row_form, shown in _forms(form, contexts, question.question_id)
    ]


def _forms(
    form: TrainingForm, contexts: Mapping[str, Sequence[str]], question_id: str
) -> Iterator[tuple[Form, Sequence[str] | None]]:
    if form in {"mixture", "closed_book"}:
        yield "without contexts", None
    if form != "closed_book":
        yield "with contexts", contexts[question_id]


def encode_rows(engine: ChatTokenizer, drafts: Sequence[Draft]) -> tuple[TuningRow, ...]:
    """The drafts as token ids, the end token after each answer.

    Raises:
        ModelError: the chat template does not end a turn with the tokenizer's end token.
    """
    _require_end_token(engine)
    prompts = engine.encode([draft.chat for draft in drafts])
    # Split: an answer that names `<file_sep>` is learnt letter by letter, not as the token that would end or vanish.
    answers = engine.tokenizer(
        [draft.answer for draft in drafts], add_special_tokens=False, split_special_tokens=True, verbose=False
    )["input_ids"]
    end = engine.tokenizer.eos_token_id
    return tuple(
        TuningRow(question_id=draft.question_id, form=draft.form, prompt_ids=prompt, answer_ids=(*answer, end))
        for draft, prompt, answer in zip(drafts, prompts, answers, strict=True)
    )


def build_rows(
    engine: ChatTokenizer,
    questions: Sequence[Question],
    contexts: Mapping[str, Sequence[str]],
    *,
    instructions: str,
    form: TrainingForm,
) -> tuple[TuningRow, ...]:
    """Rows that learn the references; see `draft_rows` and `encode_rows`."""
    return encode_rows(engine, draft_rows(questions, contexts, instructions=instructions, form=form))


def _require_end_token(engine: ChatTokenizer) -> None:
    turn = (Message(role="user", content="a"), Message(role="assistant", content="b"))
    turns = [{"role": message.role, "content": message.content} for message in turn]
    closed: str = engine.tokenizer.apply_chat_template(turns, tokenize=False)
    written = closed.rpartition("b")[2]
    if not written.startswith(engine.tokenizer.eos_token):
        raise ModelError(
            "tuning would not teach the model to stop",
            seen=f"the chat template ends an answer with {written!r}, the end token is {engine.tokenizer.eos_token!r}",
            expected="a chat template that ends an answer with the tokenizer's end token",
            hint="name a model whose tokenizer_config.json sets eos_token to its end-of-turn token",
        )
