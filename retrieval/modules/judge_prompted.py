"""Entailment as the model writes it: yes or no."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fourfold.llm.port import Refusal
from fourfold.retrieval.modules.knowledge_filter import Judgement, Pair
from fourfold.retrieval.modules.ports import Reply, Writer
from fourfold.retrieval.modules.prompts import entail_chat

# Room for a word in stars or quotes before it.
MAX_TOKENS = 8
_WORD = re.compile(r"[^\W\d_]+")
_WORDS = {
    "yes": True, "true": True, "entailed": True, "entailment": True, "entails": True,
    "no": False, "not": False, "false": False, "contradiction": False, "neutral": False,
}  # fmt: skip


class PromptedJudge:
    """Asks a language model and reads its first word.

    Args:
        write: the model.
    """

    def __init__(self, write: Writer) -> None:
        self._write = write

    def judge(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """One judgement for each pair, in order, all asked together; any other word than yes or no is a failure."""
        replies = self._write([entail_chat(pair.premise, pair.statement) for pair in pairs], max_tokens=MAX_TOKENS)
        return [_read(reply) for reply in replies]


def _read(reply: Reply | Refusal) -> Judgement:
    if isinstance(reply, Refusal):
        return Judgement(entailed=None, failure=reply.reason)
    first = _WORD.search(reply.text)
    entailed = _WORDS.get(first[0].lower()) if first is not None else None
    failure = f"the reply is neither yes nor no: {reply.text[:40]!r}" if entailed is None else None
    return Judgement(entailed=entailed, failure=failure, n_tokens=reply.n_tokens)
