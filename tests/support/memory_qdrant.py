"""A Qdrant server's stand-in: the real client's own in-memory engine behind the client's interface, with faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from fourfold.retrieval.qdrant import Server


class MemoryServer:
    """What every client of the server sees.

    `faults` are raised by the next requests, one each; `calls` names the requests that were carried out; `after` is
    run after each of them. The engine has no payload indexes and no choice of exactness, and complains of both.
    """

    def __init__(self) -> None:
        self.engine = QdrantClient(":memory:")
        self.faults: list[Exception] = []
        self.calls: list[str] = []
        self.indexed: list[str] = []
        self.exact: set[bool | None] = set()
        self.after: Callable[[str], None] = lambda _: None

    def create_payload_index(self, _: str, field: str, __: object) -> None:
        self.indexed.append(field)

    def query_batch_points(self, name: str, requests: list[Any]) -> Any:
        self.exact |= {request.params.exact if request.params else None for request in requests}
        return self.engine.query_batch_points(
            name, [request.model_copy(update={"params": None}) for request in requests]
        )

    def close(self) -> None:
        """The server outlives its clients."""

    def client(self) -> Any:
        return _Client(self)


class _Client:
    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    def __getattr__(self, name: str) -> Any:
        server = self._server
        real = getattr(server if hasattr(MemoryServer, name) else server.engine, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if name != "close" and server.faults:
                raise server.faults.pop(0)
            found = real(*args, **kwargs)
            server.calls.append(name)
            server.after(name)
            return found

        return call


def use(monkeypatch: pytest.MonkeyPatch) -> MemoryServer:
    """Every Qdrant server is this one, for one test."""
    server = MemoryServer()
    monkeypatch.setattr("fourfold.retrieval.qdrant._remote", lambda _: server.client())
    return server


def unreachable() -> Exception:
    return ResponseHandlingException(httpx.ConnectError("[Errno 111] Connection refused"))


def refusal(status: int, words: str = "refused") -> Exception:
    return UnexpectedResponse(status, "", words.encode(), httpx.Headers())


def address(waits: list[float] | None = None, collection: str = "study") -> Server:
    """The server, its waits noted instead of waited."""
    noted = waits if waits is not None else []
    return Server(url="http://127.0.0.1:6333", collection=collection, sleep=noted.append)
