"""One answer in parts, as the server writes it: server-sent events, each a piece of JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx

from fourfold.errors import SystemFaultError
from fourfold.llm.endpoint.client import Client
from fourfold.llm.endpoint.faults import PassingError, RefusedError, not_openai
from fourfold.llm.endpoint.replies import Part, read_as, words_of

_DONE = b"[DONE]"


async def stream_answer(client: Client, body: bytes, emit: Callable[[str], None], *, n_tokens: int) -> None:
    """Hand every part of the answer to `emit`.

    Tried again only while nothing has been handed on: what was said cannot be taken back.

    Args:
        client: sends.
        body: a chat request with `stream` set.
        emit: takes a part.
        n_tokens: that the request is thought to take.

    Raises:
        SystemFaultError: the answer breaks off, or there is none after the last try.
        ModelError: every request would fail.
    """
    n_handed_on = 0

    def hand_on(text: str) -> None:
        nonlocal n_handed_on
        n_handed_on += len(text)
        emit(text)

    async def attempt(connection: httpx.AsyncClient, url: str) -> None:
        try:
            async with client.streamed(connection, url, "/chat/completions", body) as response:
                await _read_parts(response, url, hand_on)
        except PassingError as error:
            if n_handed_on:
                raise _broken(str(error), n_handed_on) from error
            raise

    try:
        await client.persist(attempt, n_tokens=n_tokens)
    except RefusedError as error:
        raise _broken(str(error), n_handed_on) from error


async def _read_parts(response: httpx.Response, url: str, hand_on: Callable[[str], None]) -> None:
    kind = response.headers.get("content-type", "no Content-Type")
    if "event-stream" not in kind:
        raise not_openai(url, f"{kind} where text/event-stream was asked for")
    ended = False
    async for data in _events(response):
        if data == _DONE:
            return
        part = read_as(Part, data, charset=response.charset_encoding, url=url)
        if part.error is not None:
            raise PassingError(f"an error in the stream: {words_of(part.error)}")
        for choice in part.choices:
            if choice.delta.content:
                hand_on(choice.delta.content)
            if choice.finish_reason not in {None, "stop", "length"}:
                raise RefusedError(f"the server ended the answer with {choice.finish_reason!r}")
            ended = ended or choice.finish_reason is not None
    if not ended:
        raise PassingError("the stream breaks off before its end")


async def _events(response: httpx.Response) -> AsyncIterator[bytes]:
    """The data of each event. httpx's own lines replace bytes that they cannot decode."""
    rest = b""
    async for block in response.aiter_bytes():
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if line.startswith(b"data:") and (data := line[5:].strip()):
                yield data


def _broken(reason: str, n_handed_on: int) -> SystemFaultError:
    return SystemFaultError(
        "the endpoint gave no whole answer",
        seen=f"{reason}; {n_handed_on} characters had come",
        expected="an answer to its end",
        hint="ask again",
    )
