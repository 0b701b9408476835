"""A local OpenAI-compatible server without a model or a delay, which plays scripts: answers, faults, cut-off bodies.

A script takes what was asked and returns what to send. Also a program of its own, for measurements:

    python -m support.openai_server       prints its base URL and serves until it is killed
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Asked:
    """One request; `number` counts from 0 over the server's life, `nth` over requests with the same words."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    number: int
    nth: int

    @property
    def words(self) -> str:
        """The last message."""
        return str(self.body["messages"][-1]["content"]) if self.body else self.path


@dataclass(frozen=True)
class Reply:
    """What is sent. `cut_at` bytes of the body, then the connection closes; `hang`: nothing at all, ever."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    hang: bool = False
    wait_s: float = 0.0


Script = Callable[[Asked], Reply]


def answer(
    text: str = "yes",
    *,
    finish_reason: str | None = "stop",
    logprobs: Sequence[float] | None = (-0.25, -0.5),
    usage: tuple[int, int] | None = (7, 2),
    **changes: Any,
) -> Reply:
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": finish_reason,
    }
    if logprobs is not None:
        choice["logprobs"] = {"content": [{"token": "t", "logprob": value, "top_logprobs": []} for value in logprobs]}
    reply: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    if usage is not None:
        reply["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return Reply(json.dumps({**reply, **changes}).encode())


def failure(status: int, message: str = "no", *, headers: dict[str, str] | None = None, **more: Any) -> Reply:
    body = json.dumps({"error": {"message": message, "type": "test", **more}}).encode()
    return Reply(body, status=status, headers=headers or {})


def html(status: int = 200) -> Reply:
    return Reply(b"<!doctype html><html><body>Sign in</body></html>", status=status, content_type="text/html")


def events(*parts: str, end: bool = True, finish_reason: str | None = "stop") -> Reply:
    chunks = [{"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]} for part in parts]
    if finish_reason is not None:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + (["data: [DONE]\n\n"] if end else [])
    return Reply("".join([": hello\n\n", *lines]).encode(), content_type="text/event-stream")


def listing(*models: str, **about: Any) -> Reply:
    return Reply(json.dumps({"object": "list", "data": [{"id": name, **about} for name in models]}).encode())


def echo(asked: Asked) -> Reply:
    """Answers each prompt with its own last message."""
    return listing("m") if asked.path.endswith("/models") else answer(f"re: {asked.words}")


class OpenAIServer:
    """Serves on 127.0.0.1 in a thread of its own until `stop`.

    `asked` holds every request; `most_at_once` the largest number under way together.
    """

    def __init__(self, script: Script = echo, port: int = 0) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._at_once = 0
        self._seen: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", port, backlog=2048))
        self._connections: set[asyncio.Task[None]] = set()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port and every connection."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        # asyncio leaks a connection that it is about to hand over while the server closes: first none is accepted.
        self._loop.remove_reader(self._server.sockets[0].fileno())
        await asyncio.sleep(0.02)
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._one(reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        body = json.loads(raw) if raw else {}
        asked = Asked(method, path, headers, body, len(self.asked), 0)
        nth = self._seen.get(asked.words, 0)
        self._seen[asked.words] = nth + 1
        asked = Asked(method, path, headers, body, len(self.asked), nth)
        self.asked.append(asked)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._send(writer, reader, self.script(asked))
        finally:
            self._at_once -= 1

    async def _send(self, writer: asyncio.StreamWriter, reader: asyncio.StreamReader, reply: Reply) -> bool:
        if reply.hang:
            # Ends when the client gives up.
            await reader.read(1)
            return False
        if reply.wait_s:
            await asyncio.sleep(reply.wait_s)
        headers = {"content-type": reply.content_type, "content-length": str(len(reply.body)), **reply.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} Reason\r\n{head}\r\n".encode("latin-1") + reply.body[: reply.cut_at])
        await writer.drain()
        return reply.cut_at is None


def main() -> None:
    server = OpenAIServer()
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
