"""ragas' own prompts, asked in batches: what makes its metrics fast enough for a study, with not a word changed.

ragas asks prompt by prompt, each through langchain's callbacks and a client of its own. Here every item of every metric
runs at once, and whatever they are all waiting for is asked together, through whoever asks the judge: cached, with
its limit in flight, prompts that begin alike read once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from pydantic import ValidationError

from fourfold.llm.port import Chat, Completion, Message, Refusal

Ask = Callable[[Sequence[Chat]], Sequence[Completion | Refusal]]
_NO_INPUT = "Input: (None)\nOutput: "
_SHOWN = 80


class ReplyError(Exception):
    """A reply that ends its item: none, cut off, or not what was asked for. It never leaves `ragas_metrics`."""


class Gathering:
    """Takes single prompts from many coroutines of one event loop and asks them together.

    Args:
        ask: answers chats, in order.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._waiting: list[tuple[str, asyncio.Future[str]]] = []

    async def complete(self, text: str) -> str:
        """The reply to one prompt.

        Raises:
            ReplyError: there is none, or it was cut off.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        self._waiting.append((text, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._look, 1, loop)
        return await future

    def _look(self, n_before: int, loop: asyncio.AbstractEventLoop) -> None:
        """Ask once a whole turn of the loop brought no further prompt: everybody is waiting then."""
        if len(self._waiting) > n_before:
            loop.call_soon(self._look, len(self._waiting), loop)
            return
        waiting, self._waiting = self._waiting, []
        try:
            replies = self._ask([(Message(role="user", content=text),) for text, _ in waiting])
        except BaseException as error:
            for _, future in waiting:
                _settle(future, error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), reply in zip(waiting, replies, strict=True):
            _settle(future, _text_of(reply))


class PlainPrompt:
    """A ragas prompt, without its callbacks, its count of uses and its second tries.

    Decoding is greedy: a model that is asked the same again says the same again, so a reply that cannot be read fails
    its item at once, and n replies are the one reply n times.

    Args:
        prompt: a `PydanticPrompt` of ragas.
    """

    def __init__(self, prompt: Any) -> None:
        self.prompt = prompt
        # All but the input; ragas writes schema and examples anew for every prompt.
        self._beginning = prompt.to_string(None).removesuffix(_NO_INPUT)

    def to_string(self, data: Any) -> str:
        """The prompt, byte-equal to ragas'."""
        return f"{self._beginning}input: {data.model_dump_json(indent=4, exclude_none=True)}\nOutput: "

    async def generate(self, data: Any, llm: Gathering, **_: object) -> Any:
        """The reply as the prompt's output model.

        Raises:
            ReplyError: there is none, or it is not of that form.
        """
        from ragas.prompt.utils import extract_json

        data = self.prompt.process_input(data)
        reply = await llm.complete(self.to_string(data))
        try:
            read = self.prompt.output_model.model_validate_json(extract_json(reply))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise ReplyError(f"the reply cannot be read ({first}): {_short(reply)}") from error
        return self.prompt.process_output(read, data)

    async def generate_multiple(self, data: Any, llm: Gathering, n: int = 1, **_: object) -> list[Any]:
        """`generate`, n times the same."""
        return [await self.generate(data, llm)] * n


def run_together(coroutines: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Runs all of them at once in a loop of their own; what one raises stands in its place."""

    async def gather() -> list[Any]:
        return await asyncio.gather(*coroutines, return_exceptions=True)

    return asyncio.run(gather())


def _text_of(reply: Completion | Refusal) -> str | ReplyError:
    if isinstance(reply, Refusal):
        return ReplyError(reply.reason)
    if reply.finish_reason == "length":
        return ReplyError(f"the reply was cut off after {reply.n_answer_tokens} tokens")
    return reply.text


def _settle(future: asyncio.Future[str], result: str | BaseException) -> None:
    if future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…")
