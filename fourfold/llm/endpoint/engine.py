"""The endpoint engine: the port to a model that an OpenAI-compatible server runs.

The server formats the chat, so prompts have no token ids here, and its own settings hold for what a request does not
name: start vLLM with `--generation-config vllm` and leave repetition penalties off, or decoding is not plainly greedy.
Ollama cuts prompts that are too long without a word: give its model a context that is long enough.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import NoReturn, Self

import httpx

from fourfold.errors import ModelError
from fourfold.llm.endpoint import guided
from fourfold.llm.endpoint.client import Client
from fourfold.llm.endpoint.clock import Clock
from fourfold.llm.endpoint.dialect import Dialect
from fourfold.llm.endpoint.faults import RefusedError
from fourfold.llm.endpoint.flight import SingleFlight
from fourfold.llm.endpoint.loop import LoopThread
from fourfold.llm.endpoint.replies import ChatReply, read_as, read_completion
from fourfold.llm.endpoint.served import Served, look_up
from fourfold.llm.endpoint.streaming import stream_answer
from fourfold.llm.port import Adapter, Chat, Prompt, RawCompletion, Refusal, Sampling
from fourfold.study import EndpointSettings

# Part of every generation's key: raise when the same request would be answered with other tokens.
ENGINE = "openai-1"

_log = logging.getLogger(__name__)
_PATH = "/chat/completions"
_NOTHING: Mapping[str, object] = MappingProxyType({})
_TOO_LONG = ("context_length", "context length", "context size", "context window", "exceed_context", "too long")


class EndpointEngine:
    """One model of one endpoint. Close it, or use it in a `with` statement.

    Args:
        settings: addresses, model, limits.
        key: for the endpoint; None: none is sent.
        jitter: of the waits between tries.
        adapters: digest of each adapter to the model name under which the server has it.
        clock: time.

    Raises:
        ModelError: the key cannot be sent.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        *,
        key: str | None,
        jitter: random.Random,
        adapters: Mapping[str, str] = MappingProxyType({}),
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._adapters = adapters
        self._dialect = Dialect()
        self._said: set[str] = set()
        self._flights: SingleFlight[RawCompletion] = SingleFlight()
        self._client = Client(settings, key=key, jitter=jitter, clock=clock or Clock())
        self._loop = LoopThread()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and thread."""
        self._loop.run(self._client.close)
        self._loop.close()

    @functools.cached_property
    def served(self) -> Served:
        """What the server says of the model; asked once, of every address.

        Raises:
            ModelError: the endpoint cannot be used.
        """
        return self._loop.run(functools.partial(look_up, self._client, self._settings))

    @property
    def identity(self) -> Mapping[str, str]:
        """The model's name and what the server lists behind it.

        No address is in it: the same server may move. Nor is `system_fingerprint`: it comes with an answer only, and
        hosted services change it every few days. So other weights under the same name are noticed where the server
        lists its weights (vLLM: their path; llama.cpp: parameters and bytes), and not by its address.

        Raises:
            ModelError: the endpoint cannot be used.
        """
        return {"engine": ENGINE, "model": self._settings.model, "served": self.served.weights}

    @property
    def context_tokens(self) -> int | None:
        """What the server says a prompt and its answer may have together; None where it does not."""
        return self.served.context_tokens

    def prepare(self, chats: Sequence[Chat]) -> list[Prompt]:
        """Each chat as it is: only the server knows its tokenizer."""
        return [Prompt(chat=chat) for chat in chats]

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, adapter: Adapter | None
    ) -> list[RawCompletion | Refusal]:
        """Every answer, in order; identical prompts are asked once, here and over threads.

        Raises:
            ModelError: what holds for every request: wrong key, unknown model, nobody there, no OpenAI-compatible
                server, no token counts.
        """
        return self._complete(prompts, sampling, self._model(adapter), _NOTHING)

    def complete_json(
        self, prompts: Sequence[Prompt], sampling: Sampling, adapter: Adapter | None, *, schema: Mapping[str, object]
    ) -> list[RawCompletion | Refusal]:
        """The same, each text held to a JSON schema while it is written; one cut off by its length is no whole JSON.

        Raises:
            ModelError: the server does not hold answers to a schema, or as `complete`.
        """
        more = {"response_format": guided.response_format(schema)}
        found = self._complete(prompts, sampling, self._model(adapter), more)
        for answer in found:
            if isinstance(answer, RawCompletion):
                guided.require_json(answer, self._settings.model)
            elif guided.has_no_guided(answer.reason):
                raise guided.no_guided(self._settings.model, answer.reason)
        return found

    def stream(self, prompt: Prompt, sampling: Sampling, adapter: Adapter | None) -> Iterator[str]:
        """One answer in parts, as it is written.

        Raises:
            SystemFaultError: the answer breaks off, or there is none after the last try.
            ModelError: as `complete`.
        """
        dialect = Dialect(logprobs=False, limit=self._dialect.limit)
        body = dialect.body(self._model(adapter), prompt.chat, sampling.max_tokens, {"stream": True})
        n_tokens = _estimate(prompt.chat, sampling)

        async def produce(emit: Callable[[str], None]) -> None:
            await stream_answer(self._client, body, emit, n_tokens=n_tokens)

        return self._loop.iterate(produce)

    def score(
        self,
        prompts: Sequence[Prompt],  # noqa: ARG002 (the port's signature)
        continuations: Sequence[Sequence[str]],  # noqa: ARG002
        adapter: Adapter | None,  # noqa: ARG002
    ) -> NoReturn:
        """Not possible here.

        Raises:
            ModelError: always. The OpenAI interface tells log-probabilities of what the model writes, not of a text
                that it is given.
        """
        raise ModelError(
            "an endpoint cannot score a given text",
            seen=f"{self._settings.model}: its interface tells log-probabilities of its own answers only",
            expected="the engine in this process, which reads them from the model",
            hint="name the model's weights in model.id and leave model.endpoint out",
        )

    def _model(self, adapter: Adapter | None) -> str:
        if adapter is None:
            return self._settings.model
        if adapter.digest not in self._adapters:
            raise ModelError(
                "the endpoint does not have the adapter",
                seen=str(adapter.folder),
                expected="its model name on the server",
                hint="serve that folder beside the base (vLLM: --lora-modules) and name it in model.endpoint.adapters",
            )
        return self._adapters[adapter.digest]

    def _complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, model: str, more: Mapping[str, object]
    ) -> list[RawCompletion | Refusal]:
        async def all_of_them() -> list[RawCompletion | Refusal]:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._one(prompt.chat, sampling, model, more)) for prompt in prompts]
            except* ModelError as errors:
                # The first stopped the others; what they met meanwhile is the same.
                raise errors.exceptions[0] from None
            return [task.result() for task in tasks]

        return self._loop.run(all_of_them)

    async def _one(
        self, chat: Chat, sampling: Sampling, model: str, more: Mapping[str, object]
    ) -> RawCompletion | Refusal:
        n_tokens = _estimate(chat, sampling)
        while True:
            dialect = self._dialect
            body = dialect.body(model, chat, sampling.max_tokens, more)
            try:
                return await self._flights.run(body, functools.partial(self._ask, body, n_tokens, model))
            except RefusedError as error:
                other = dialect.without(str(error))
                if other is None:
                    return _refusal(str(error), chat, sampling)
                if not other.logprobs:
                    self._say_once("%s gives no log-probabilities: it refuses the field", model)
                self._dialect = other

    async def _ask(self, body: bytes, n_tokens: int, model: str) -> RawCompletion:
        answer, by = await self._client.ask(_PATH, body, _read, n_tokens=n_tokens)
        # Hosted services answer to "name" as "name-2026-01-31".
        if by is not None and not by.startswith(model):
            self._say_once("%s was asked for, and the server says that %s answers", model, by)
        self._client.settle(answer.n_prompt_tokens + answer.n_answer_tokens - n_tokens)
        if answer.logprobs is None and answer.n_answer_tokens and self._dialect.logprobs:
            self._say_once("%s gives no log-probabilities", self._settings.model)
        return answer

    def _say_once(self, text: str, *values: object) -> None:
        if text not in self._said:
            self._said.add(text)
            _log.warning(text, *values)


def _read(response: httpx.Response) -> tuple[RawCompletion, str | None]:
    """The answer, and the model that gave it, where the server tells."""
    url = str(response.url)
    reply = read_as(ChatReply, response.content, charset=response.charset_encoding, url=url)
    return read_completion(reply, url), reply.model


def _refusal(reason: str, chat: Chat, sampling: Sampling) -> Refusal:
    if not any(sign in reason for sign in _TOO_LONG):
        return Refusal(reason=reason)
    # How many tokens it has and may have stands in the server's words.
    n_characters = sum(len(message.content) for message in chat)
    return Refusal(
        reason=f"prompt of {n_characters} characters, limit exceeded with an answer of {sampling.max_tokens}: {reason}"
    )


def _estimate(chat: Chat, sampling: Sampling) -> int:
    """Tokens a request is thought to take: a quarter of its characters, and the whole answer."""
    return sum(len(message.content) for message in chat) // 4 + sampling.max_tokens
