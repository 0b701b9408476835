"""Judges that follow a script, for tests of what is made of their replies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fourfold.evals.judge.port import JudgeItem
from fourfold.llm.port import Chat, Completion, Refusal

Weigh = Callable[[Chat], tuple[float, ...] | Refusal]
Write = Callable[[Chat], str | Refusal]


class ScriptedJudge:
    """Weighs or writes by a function of the chat; remembers what it was asked."""

    def __init__(self, name: str = "scripted", *, weigh: Weigh | None = None, write: Write | None = None) -> None:
        self.name = name
        self.has_probabilities = weigh is not None
        self.asked: list[Chat] = []
        self._weigh = weigh
        self._write = write

    def weigh(self, chats: Sequence[Chat], labels: Sequence[str]) -> list[tuple[float, ...] | Refusal]:
        assert self._weigh is not None
        self.asked += chats
        found = [self._weigh(chat) for chat in chats]
        assert all(isinstance(one, Refusal) or len(one) == len(labels) for one in found)
        return found

    def write(self, chats: Sequence[Chat]) -> list[Completion | Refusal]:
        assert self._write is not None
        self.asked += chats
        return [reply(self._write(chat)) for chat in chats]


def reply(text: str | Refusal, **fields: Any) -> Completion | Refusal:
    if isinstance(text, Refusal):
        return text
    defaults: dict[str, Any] = {
        "key": "k", "token_ids": None, "n_prompt_tokens": 1, "n_answer_tokens": 1, "mean_logprob": None,
        "finish_reason": "stop", "seconds": 0.0,
    }  # fmt: skip
    return Completion(text=text, **{**defaults, **fields})


def make_item(item_id: str = "i", **fields: Any) -> JudgeItem:
    defaults: dict[str, Any] = {
        "question": "How often is the valve checked?",
        "answer": "every 4 hours",
        "reference": "every 4 hours",
        "passage": "The valve is checked every 4 hours.",
    }
    return JudgeItem(item_id=item_id, **{**defaults, **fields})


def user_text(chat: Chat) -> str:
    return chat[-1].content


def answer_in(chat: Chat) -> str:
    """The quoted answer of a pointwise prompt, marks taken off."""
    quoted = user_text(chat).partition("\nAnswer:\n")[2].partition("\n\n")[0]
    return "\n".join(line.removeprefix("| ") for line in quoted.split("\n"))
