"""The prompts that answering and tuning share, so that each tuning prompt is byte-equal to its arm's (rule 4)."""

from __future__ import annotations

from collections.abc import Sequence

from fourfold.llm.port import Chat, Message


def answer_chat(
    instructions: str,
    question: str,
    contexts: Sequence[str] | None,
    examples: Sequence[tuple[str, str]] = (),
) -> Chat:
    """The prompt of one question.

    Args:
        instructions: the study's answer instructions (system prompt).
        question: the question.
        contexts: retrieved chunks, best first; None for the form without contexts. They stand before the question,
            so that their likelihood comes out of the same forward pass as the answer's.
        examples: (question, answer) pairs, shown as earlier turns without contexts: they teach the form of an answer.
    """
    shown = [
        turn
        for asked, answered in examples
        for turn in (
            Message(role="user", content=f"Question: {asked}"),
            Message(role="assistant", content=answered),
        )
    ]
    if contexts is None:
        user = f"Question: {question}"
    else:
        passages = "\n\n".join(f"[{rank}] {context}" for rank, context in enumerate(contexts, start=1))
        user = f"Passages:\n{passages}\n\nQuestion: {question}"
    return (Message(role="system", content=instructions), *shown, Message(role="user", content=user))
