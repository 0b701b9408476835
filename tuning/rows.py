"""The training set: tuning questions in both prompt forms, each prompt byte-equal to its arm's (fairness rule 4)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fourfold.errors import ModelError, QuestionError
from fourfold.llm.port import Chat, Message
from fourfold.prompts import answer_chat
from fourfold.types import Question

Form = Literal["without contexts", "with contexts"]


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
    """One example: a prompt and the answer that is learnt, end token included."""

    question_id: str
    form: Form
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]

    @property
    def n_tokens(self) -> int:
        """Prompt and answer."""
        return len(self.prompt_ids) + len(self.answer_ids)


def build_rows(
    engine: ChatTokenizer,
    questions: Sequence[Question],
    contexts: Mapping[str, Sequence[str]],
    *,
    instructions: str,
    with_context_share: float,
) -> tuple[TuningRow, ...]:
    """Rows of the declared mixture, in the questions' order, each pair's closed-book row first.

    Args:
        engine: renders and encodes as the arms do.
        questions: tuning questions.
        contexts: per question id, the chunk texts that the study's retriever gives, in its order.
        instructions: the study's answer instructions.
        with_context_share: 0, .5 or 1.

    Raises:
        QuestionError: no questions.
        ModelError: the chat template does not end a turn with the tokenizer's end token.
    """
    if not questions:
        raise QuestionError(
            "there is nothing to tune on", seen="0 tuning questions", expected="at least 1", hint="raise n_tuning"
        )
    _require_end_token(engine)
    drafts: list[tuple[Question, Form, Chat]] = []
    for question in questions:
        if with_context_share < 1:
            drafts.append((question, "without contexts", answer_chat(instructions, question.question, None)))
        if with_context_share > 0:
            own = contexts[question.question_id]
            drafts.append((question, "with contexts", answer_chat(instructions, question.question, own)))
    prompts = engine.encode([chat for _, _, chat in drafts])
    references = [question.reference for question, _, _ in drafts]
    answers = engine.tokenizer(references, add_special_tokens=False)["input_ids"]
    end = engine.tokenizer.eos_token_id
    return tuple(
        TuningRow(question_id=question.question_id, form=form, prompt_ids=prompt, answer_ids=(*answer, end))
        for (question, form, _), prompt, answer in zip(drafts, prompts, answers, strict=True)
    )


def order_rows(rows: Sequence[TuningRow], *, epochs: int, batch_rows: int, seed: int) -> list[TuningRow]:
    """Rows in training order, every epoch written out: shuffled, and longest first within each optimiser batch.

    Rows of like length then share a micro-batch, so that little is padding; what a batch holds is left to chance.
    """
    shuffler = random.Random(seed)  # noqa: S311 (an order, not a secret)
    ordered: list[TuningRow] = []
    for _ in range(epochs):
        shuffled = list(rows)
        shuffler.shuffle(shuffled)
        for start in range(0, len(shuffled), batch_rows):
            ordered += sorted(shuffled[start : start + batch_rows], key=lambda row: -row.n_tokens)
    return ordered


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
