"""Requests to an endpoint: bounded, paced, tried again, sent to another address where one is down.

On httpx alone: the openai package costs .6–.8 ms a request above it (1,000 requests at 64 in flight, 2 cores, versions
3.57 and .28), and its retries know neither cut-off bodies nor several addresses.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import httpx

from fourfold.errors import ModelError
from fourfold.llm.endpoint.addresses import Addresses
from fourfold.llm.endpoint.backoff import backoff_s, retry_after_s
from fourfold.llm.endpoint.clock import Clock
from fourfold.llm.endpoint.faults import PassingError, RefusedError, not_reachable, raise_for
from fourfold.llm.endpoint.pace import Pace
from fourfold.llm.endpoint.replies import said_in
from fourfold.study import EndpointSettings

_log = logging.getLogger(__name__)

_LONGEST_CONNECT_S = 10.0

Result = TypeVar("Result")
Read = Callable[[httpx.Response], Result]
Attempt = Callable[[httpx.AsyncClient, str], Awaitable[Result]]


class Client:
    """Sends requests to the addresses of one endpoint. Belongs to one event loop.

    Args:
        settings: addresses, limits, tries.
        key: sent as a bearer token; None: none is sent. Never shown: it is blotted out of the server's words.
        jitter: of the waits between tries.
        clock: time.

    Raises:
        ModelError: the key cannot be sent.
    """

    def __init__(self, settings: EndpointSettings, *, key: str | None, jitter: random.Random, clock: Clock) -> None:
        self._settings = settings
        self._key = key
        self._jitter = jitter
        self._clock = clock
        self._addresses = Addresses(settings.urls)
        self._unreachable: dict[str, str] = {}
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._requests = Pace(settings.requests_per_minute)
        self._tokens = Pace(settings.tokens_per_minute)
        self._n_answered = 0
        self._connect_s = min(settings.timeout_s, _LONGEST_CONNECT_S)
        self._headers = {"content-type": "application/json", **_authorization(key, settings.key_variable)}
        # Read once: reading the machine's certificates takes 20 ms.
        self._certificates = httpx.create_ssl_context()
        self._connections: list[httpx.AsyncClient] = []
        self._free: list[httpx.AsyncClient] = []

    async def close(self) -> None:
        """Close every connection."""
        for connection in self._connections:
            await connection.aclose()

    async def ask(self, path: str, body: bytes, read: Read[Result], *, n_tokens: int) -> Result:
        """What `read` makes of the reply.

        Args:
            path: below the base URL, as /chat/completions.
            body: JSON.
            read: turns a reply of status 200 into the result; what it raises is treated as the request's own fault.
            n_tokens: that the request is thought to take.

        Raises:
            RefusedError: this request fails, at once or after the last try.
            ModelError: every request would.
        """

        async def attempt(connection: httpx.AsyncClient, url: str) -> Result:
            return read(await self._send(connection, "POST", url + path, body))

        return await self.persist(attempt, n_tokens=n_tokens)

    async def look(self, url: str, path: str, read: Read[Result]) -> Result:
        """The same with GET, of one address, once.

        Raises:
            PassingError, RefusedError, ModelError: as it comes.
        """
        async with self._slot() as connection:
            return read(await self._send(connection, "GET", url + path, None))

    async def persist(self, attempt: Attempt[Result], *, n_tokens: int) -> Result:
        """Try until it succeeds, cannot succeed, or the tries are used up.

        Args:
            attempt: one try over the connection to the address given.
            n_tokens: that the request is thought to take.

        Raises:
            RefusedError, ModelError: as for `ask`.
        """
        n_failed = 0
        n_answered = self._n_answered
        while True:
            # Since before the last try: those sent together with this one may be answered after it is turned away.
            n_before, n_answered = n_answered, self._n_answered
            async with self._slot() as connection:
                url = await self._wait_for_turn(n_tokens)
                try:
                    result = await attempt(connection, url)
                except PassingError as error:
                    fault = error
                else:
                    self._note_answer(url)
                    return result
            if self._note_fault(fault, url):
                continue
            # A server that answers others meanwhile is busy, not broken: its pauses do not use up the tries.
            if fault.pause_s is None or self._n_answered == n_before:
                n_failed += 1
            if n_failed > self._settings.retries:
                raise self._give_up(fault)
            if not fault.pause_s:
                await self._clock.sleep(backoff_s(max(1, n_failed), self._jitter))

    def settle(self, difference: int) -> None:
        """Tell by how many tokens a request took more than was thought, or fewer."""
        self._tokens.settle(difference)

    @asynccontextmanager
    async def streamed(
        self, connection: httpx.AsyncClient, url: str, path: str, body: bytes
    ) -> AsyncIterator[httpx.Response]:
        """A reply that comes in parts; the time limit holds for each wait between two of them.

        Raises:
            PassingError, RefusedError, ModelError: as it comes.
        """
        timeout = httpx.Timeout(self._settings.timeout_s, connect=self._connect_s)
        with self._as_faults():
            async with connection.stream("POST", url + path, content=body, timeout=timeout) as response:
                if response.status_code != 200:
                    await response.aread()
                self._check(response)
                yield response

    async def _send(self, connection: httpx.AsyncClient, method: str, url: str, body: bytes | None) -> httpx.Response:
        with self._as_faults():
            async with asyncio.timeout(self._settings.timeout_s):
                response = await connection.request(method, url, content=body)
        self._check(response)
        return response

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[httpx.AsyncClient]:
        """A place among the requests in flight, with a connection of its own.

        One pool of 64 connections looks through all of them at every request: 3 to 4 ms each.
        """
        async with self._slots:
            connection = self._free.pop() if self._free else self._connect()
            try:
                yield connection
            finally:
                self._free.append(connection)

    def _connect(self) -> httpx.AsyncClient:
        # The whole request has a limit of its own.
        timeout = httpx.Timeout(None, connect=self._connect_s)
        connection = httpx.AsyncClient(headers=self._headers, timeout=timeout, verify=self._certificates)
        self._connections.append(connection)
        return connection

    @contextmanager
    def _as_faults(self) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            reason = str(error) or "no connection in time"
            raise PassingError(self._blot(reason), unreachable=True) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise PassingError(f"no whole reply within {self._settings.timeout_s:g} s") from error
        except httpx.TransportError as error:
            raise PassingError(f"the connection broke off: {self._blot(str(error)) or type(error).__name__}") from error
        except httpx.DecodingError as error:
            raise PassingError("the reply's compression is broken") from error

    def _check(self, response: httpx.Response) -> None:
        if response.status_code != 200:
            raise_for(
                response.status_code,
                self._blot(said_in(response.content)),
                url=str(response.url),
                pause_s=retry_after_s(response.headers, self._clock.now()),
            )

    async def _wait_for_turn(self, n_tokens: int) -> str:
        while True:
            now = self._clock.monotonic()
            url, wait_s = self._addresses.choose(now)
            if wait_s == 0:
                break
            await self._clock.sleep(wait_s)
        wait_s = max(self._requests.reserve(1, now), self._tokens.reserve(n_tokens, now))
        if wait_s > 0:
            await self._clock.sleep(wait_s)
        return url

    def _note_answer(self, url: str) -> None:
        self._n_answered += 1
        if self._unreachable.pop(url, None) is not None:
            self._addresses.restore(url)

    def _note_fault(self, fault: PassingError, url: str) -> bool:
        """Whether another address may be asked at once."""
        now = self._clock.monotonic()
        if fault.pause_s:
            self._addresses.pause(url, now + fault.pause_s)
        if not fault.unreachable:
            return False
        if url not in self._unreachable and len(self._settings.urls) > 1:
            _log.warning("%s cannot be reached (%s): the other addresses go on", url, fault)
        self._unreachable[url] = str(fault)
        self._addresses.set_aside(url, now)
        return len(self._unreachable) < len(self._settings.urls)

    def _give_up(self, fault: PassingError) -> Exception:
        if fault.unreachable and len(self._unreachable) == len(self._settings.urls):
            return not_reachable(self._unreachable)
        return RefusedError(f"given up after {self._settings.retries + 1} tries: {fault}")

    def _blot(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


def _authorization(key: str | None, variable: str | None) -> dict[str, str]:
    if key is None:
        return {}
    if not key.isascii() or not key.isprintable() or key != key.strip() or not key:
        raise ModelError(
            "the endpoint's key cannot be sent",
            seen=f"{len(key)} characters, with spaces at its ends, line breaks or letters outside ASCII among them",
            expected="printable ASCII",
            hint=f"set the environment variable {variable or 'of the key'} anew",
        )
    return {"authorization": f"Bearer {key}"}
