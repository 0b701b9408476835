"""What the tests of the endpoint engine start: scripted servers, engines, and time that does not pass."""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from support.openai_server import OpenAIServer, Script, echo

from fourfold.llm.endpoint.clock import Clock
from fourfold.llm.endpoint.engine import EndpointEngine
from fourfold.llm.port import Message, Prompt, RawCompletion, Refusal, Sampling
from fourfold.study import EndpointSettings

SHORT = Sampling(max_tokens=8)


class FakeTime:
    """Time that passes only while someone waits; `waits` holds how long each did."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        until = self.seconds + seconds
        # The others run first; who waits longest moves the time on.
        await asyncio.sleep(0.001)
        self.seconds = max(self.seconds, until)

    @property
    def clock(self) -> Clock:
        return Clock(
            monotonic=lambda: self.seconds, now=lambda: datetime(2026, 11, 25, 12, 0, tzinfo=UTC), sleep=self.sleep
        )


class Bench:
    """Starts servers and engines, and asks."""

    def __init__(self, stack: ExitStack) -> None:
        self.time = FakeTime()
        self._stack = stack

    def serve(self, script: Script = echo) -> OpenAIServer:
        return self._stack.enter_context(OpenAIServer(script))

    def engine(
        self,
        *urls: str,
        key: str | None = None,
        digests: dict[str, str] | None = None,
        clock: Clock | None = None,
        **settings: Any,
    ) -> EndpointEngine:
        return self._stack.enter_context(
            EndpointEngine(
                EndpointSettings(**{"urls": urls, "model": "m", "timeout_s": 5.0, "retries": 3} | settings),
                key=key,
                adapters=digests or {},
                jitter=random.Random(7),
                clock=clock or self.time.clock,
            )
        )

    def ask(self, engine: EndpointEngine, *words: str) -> list[RawCompletion | Refusal]:
        return engine.complete(prompts(*words), SHORT, None)

    def one(self, script: Script, **settings: Any) -> RawCompletion | Refusal:
        """The answer to one prompt by a server that plays the script."""
        (found,) = self.ask(self.engine(self.serve(script).url, **settings), "q")
        return found


def prompts(*words: str) -> list[Prompt]:
    return [Prompt(chat=(Message(role="user", content=text),)) for text in words]


def free_address() -> str:
    """An address at which nobody listens."""
    with OpenAIServer() as server:
        return server.url
