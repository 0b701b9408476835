"""Identical requests that are under way together are sent once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Results of requests under way, shared by those who ask for the same. Belongs to one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, asyncio.Task[Result]] = {}
        self._n_waiting: dict[bytes, int] = {}

    async def run(self, key: bytes, start: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """The result of `start()`, or of an earlier one under the same key that has not ended yet."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(start())
            self._n_waiting[key] = 0
        self._n_waiting[key] += 1
        try:
            # One who gives up must not take the request from the others.
            return await asyncio.shield(task)
        finally:
            self._leave(key, task)

    def _leave(self, key: bytes, task: asyncio.Task[Result]) -> None:
        if self._under_way.get(key) is not task:
            return
        self._n_waiting[key] -= 1
        if self._n_waiting[key] == 0 or task.done():
            del self._under_way[key], self._n_waiting[key]
            task.cancel()
