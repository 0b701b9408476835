"""Qdrant, embedded in a folder or on a server: opened, asked again where that can help, its faults told as ours."""

from __future__ import annotations

import json
import logging
import os
import pickle
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from fourfold.errors import FourfoldError, StoreError, SystemFaultError
from fourfold.store import no_space

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

_log = logging.getLogger(__name__)
Result = TypeVar("Result")

# A restart of the server's container takes 5 to 30 s; together they wait for one minute.
WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_TIMEOUT_S = 60
_PASSING = frozenset([408, 425, 429, 500, 502, 503, 504])
# In Qdrant's replies to a write that its disk does not hold: status 500 as well, but another try cannot help.
_FULL = ("no space left", "disk is full", "out of disk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A Qdrant server, and the collection on it that the successive results of one study share.

    `quantisation` int8 keeps 8-bit copies in memory and searches Qdrant's graph over them: a quarter of the memory, and
    approximate. Without it the search is exact, so that a server gives the rows of the embedded mode. `waits_s` stand
    between the tries of a request that failed in a way that may pass.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    collection: str
    quantisation: Literal["none", "int8"] = "none"
    sleep: Callable[[float], None] = time.sleep
    waits_s: tuple[float, ...] = WAITS_S


@contextmanager
def opened(place: Path | Server) -> Iterator[QdrantClient]:
    """A client that is closed at the end.

    Raises:
        StoreError: another process has the folder open, or its files are damaged.
    """
    with _quiet():
        client = _remote(place) if isinstance(place, Server) else _embedded(place)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # Over 20,000 points Qdrant advises its server; the index stage says the same in our words.
        warnings.filterwarnings("ignore", message="Local mode is not recommended")
        # A key over plain http is the owner's choice where the server is their own.
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        yield


def _remote(server: Server) -> QdrantClient:
    from qdrant_client import QdrantClient

    # Its own check of versions prints where the server does not answer; the first request tells the same as an error.
    return QdrantClient(url=server.url, api_key=server.key, timeout=_TIMEOUT_S, check_compatibility=False)


def _embedded(folder: Path) -> QdrantClient:
    from qdrant_client import QdrantClient

    try:
        return QdrantClient(path=str(folder))
    except RuntimeError as error:
        raise StoreError(
            "the index cannot be opened",
            seen=error,
            expected=f"no other process that has {folder} open",
            hint="wait for the other run to end, or set QDRANT_URL: a server is shared",
        ) from error
    except (sqlite3.DatabaseError, json.JSONDecodeError, pickle.UnpicklingError, KeyError, EOFError) as error:
        raise StoreError(
            "the index is damaged",
            seen=f"{folder}: {error}",
            expected="the files that were written",
            hint=f"delete {folder.parent} and run the same command again: its vectors are kept in the store",
        ) from error


def ask(place: Path | Server, call: Callable[[], Result]) -> Result:
    """What `call` returns; asked again while a server is away, restarts or is overloaded.

    Args:
        place: what is asked.
        call: one request, or several that may be repeated together.

    Raises:
        SystemFaultError: the server did not answer, its waits over.
        StoreError: what another try cannot mend: the key, the request, a full disk.
    """
    if isinstance(place, Path):
        try:
            return call()
        except sqlite3.OperationalError as error:
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_FULL:
                raise no_space(place, str(error)) from error
            raise StoreError(
                "the index cannot be read or written",
                seen=f"{place}: {error}",
                expected="a folder that this process may write, on a disk that works",
                hint="mend it and run the same command again: what is embedded is kept",
            ) from error
    for wait_s in (*place.waits_s, None):
        try:
            return call()
        except _faults() as error:
            problem = _problem(place, error)
            if wait_s is None or isinstance(problem, StoreError):
                raise problem from error
            _log.warning("the Qdrant server does not answer, asked again in %g s: %s", wait_s, problem.seen)
            place.sleep(wait_s)
    raise AssertionError("the last wait is None")


def _faults() -> tuple[type[Exception], ...]:
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException

    return QdrantException, ApiException


def _problem(server: Server, error: Exception) -> FourfoldError:
    """A SystemFaultError where another try may help, else a StoreError."""
    status = cast("int | None", getattr(error, "status_code", None))
    words = str(getattr(error, "source", error))
    seen = f"{server.url}: {words}"
    if any(word in words.lower() for word in _FULL):
        return StoreError(
            "no space left for the vectors",
            seen=seen,
            expected="free space on the disk of the Qdrant server",
            hint="free some and run the same command again: what is embedded is kept",
        )
    if status in {401, 403}:
        return StoreError(
            "the Qdrant server refuses the key",
            seen=seen,
            expected="a key that may read and write",
            hint="put the server's key in QDRANT_API_KEY",
        )
    if status is not None and status not in _PASSING:
        return StoreError(
            "the Qdrant server refuses a request",
            seen=seen,
            expected=f"a Qdrant of version 1.16 or later, and '{server.collection}' as this study made it",
            hint="look at the server's log; the collection can be deleted and is then made again",
        )
    return SystemFaultError(
        "the Qdrant server does not answer",
        seen=seen,
        expected="a Qdrant server at QDRANT_URL",
        hint="start it (docker compose up qdrant), or unset QDRANT_URL: then the index stands in this process",
    )


@contextmanager
def written_at_once(client: QdrantClient, collection: str, place: Path | Server) -> Iterator[None]:
    """Writes of one block reach an embedded collection's disk together, at its end; a server does so itself.

    The embedded client commits each point by itself, and SQLite then waits for the disk: 157 s for 10,000 points
    against 2.5 s with one wait. A block that is killed leaves a folder that its stage discards.
    """
    if isinstance(place, Server):
        yield
        return
    # No public way leads to the connection; qdrant-client is pinned below 2.
    storage = cast("Any", client)._client.collections[collection].storage  # noqa: SLF001
    storage.storage.execute("PRAGMA synchronous = OFF")
    try:
        with _quiet():
            yield
    finally:
        storage.storage.execute("PRAGMA synchronous = FULL")
        with storage.location.open("rb") as file:
            os.fsync(file.fileno())
