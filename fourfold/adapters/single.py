"""One chat through the language-model port, as the libraries that call with one at a time need it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from fourfold.errors import ModelError
from fourfold.llm.generate import too_long
from fourfold.llm.port import Adapter, Chat, Engine, Prompt, RawCompletion, Refusal, Sampling

Kept = TypeVar("Kept")


class Single:
    """An engine with one adapter or none, asked for one chat at a time.

    Args:
        engine: what answers.
        adapter: applied to every answer.
        max_tokens: an answer's limit where a call names none.
        concurrent: whether several threads may ask the engine at once, as one behind an endpoint may be; else they
            wait for each other.
    """

    def __init__(self, *, engine: Engine, adapter: Adapter | None, max_tokens: int, concurrent: bool = False) -> None:
        self.engine = engine
        self.adapter = adapter
        self.max_tokens = max_tokens
        self._turn: AbstractContextManager[object] = nullcontext() if concurrent else threading.Lock()

    def complete(self, chat: Chat, max_tokens: int | None = None) -> RawCompletion:
        """The answer, decoded greedily.

        Raises:
            ModelError: the engine refuses the chat, as one that leaves no room for its answer.
        """
        sampling = self._sampling(max_tokens)
        with self._turn:
            (prompt,) = self.engine.prepare([chat])
            answer = too_long(self.engine, prompt, sampling) or self._ask(prompt, sampling)
        return _require(answer)

    def stream(self, chat: Chat, max_tokens: int | None = None) -> Iterator[str]:
        """The same answer in parts, as it is written; where threads wait for each other, until its last part.

        Raises:
            ModelError: as `complete`.
        """
        sampling = self._sampling(max_tokens)
        with self._turn:
            (prompt,) = self.engine.prepare([chat])
            _require(too_long(self.engine, prompt, sampling))
            yield from self.engine.stream(prompt, sampling, self.adapter)

    def _sampling(self, max_tokens: int | None) -> Sampling:
        return Sampling(max_tokens=self.max_tokens if max_tokens is None else max_tokens)

    def _ask(self, prompt: Prompt, sampling: Sampling) -> RawCompletion | Refusal:
        (answer,) = self.engine.complete([prompt], sampling, self.adapter)
        return answer


def _require(answer: Kept | Refusal) -> Kept:
    if isinstance(answer, Refusal):
        raise ModelError(
            "the model was not asked",
            seen=answer.reason,
            expected="a prompt that the engine takes",
            hint="shorten the prompt (fewer or shorter passages), lower max_tokens, or name another model",
        )
    return answer
