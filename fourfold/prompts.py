"""The prompts that answering and tuning share, so that each tuning prompt is byte-equal to its arm's (rule 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourfold.llm.port import Chat, Message
from fourfold.passages import as_data
from fourfold.study.answer import AnswerSettings, ContextsPosition

CITE = "After each statement, name the passages it rests on by their numbers in square brackets, like [1] or [1, 2]."


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptForm:
    """What a study chooses of its prompts beside the instructions; see `AnswerSettings`."""

    citations: bool = False
    contexts: ContextsPosition = "before_question"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """An example with an answer that is right and one that is not."""

    question: str
    correct: str
    incorrect: str


PLAIN = PromptForm()


def prompt_form(settings: AnswerSettings) -> PromptForm:
    """The form of a study's prompts."""
    return PromptForm(citations=settings.citations, contexts=settings.contexts)


def answer_chat(
    instructions: str,
    question: str,
    contexts: Sequence[str] | None,
    examples: Sequence[tuple[str, str]] = (),
    *,
    contrasts: Sequence[Contrast] = (),
    form: PromptForm = PLAIN,
) -> Chat:
    """The prompt of one question.

    Args:
        instructions: the study's answer instructions (system prompt).
        question: the question.
        contexts: retrieved chunks in the order shown; None for the form without contexts. Unless the form says
            otherwise they stand before the question, so that their likelihood comes out of the same forward pass as the
            answer's. They are shown as data (`as_data`).
        examples: (question, answer) pairs, shown as earlier turns without contexts: they teach the form of an answer.
        contrasts: shown at the head of the question's own turn.
        form: position of the contexts, and whether an answer cites them; without contexts there is nothing to cite.
    """
    shown = [
        turn
        for asked, answered in examples
        for turn in (
            Message(role="user", content=f"Question: {asked}"),
            Message(role="assistant", content=answered),
        )
    ]
    system, parts = [instructions], [f"Question: {question}"]
    if contexts is not None:
        passages = "\n\n".join(f"[{rank}] {as_data(context)}" for rank, context in enumerate(contexts, start=1))
        cite = [CITE] if form.citations else []
        match form.contexts:
            case "before_question":
                parts = [f"Passages:\n{passages}", *cite, *parts]
            case "after_question":
                parts = [*parts, f"Passages:\n{passages}", *cite]
            case "in_system":
                system, parts = [*system, f"Passages:\n{passages}"], [*cite, *parts]
    parts = [*(_contrast(one) for one in contrasts), *parts]
    return (
        Message(role="system", content="\n\n".join(system)),
        *shown,
        Message(role="user", content="\n\n".join(parts)),
    )


def _contrast(one: Contrast) -> str:
    return f"Example question: {one.question}\nCorrect answer: {one.correct}\nIncorrect answer: {one.incorrect}"
