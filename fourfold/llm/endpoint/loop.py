"""An event loop in a thread of its own, for callers that are not asynchronous."""

from __future__ import annotations

import queue
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

Result = TypeVar("Result")
Item = TypeVar("Item")


class LoopThread:
    """Starts at once; calls from several threads share it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._portal: BlockingPortal = self._stack.enter_context(start_blocking_portal(name="fourfold-endpoint"))

    def run(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """The call's result. Ctrl-C while it runs cancels it."""
        future = self._portal.start_task_soon(call)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, produce: Callable[[Callable[[Item], None]], Awaitable[None]]) -> Iterator[Item]:
        """What `produce` hands to the function it is given, as it comes; cancelled when no more is wanted."""
        items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        end = object()
        future = self._portal.start_task_soon(produce, items.put)
        future.add_done_callback(lambda _: items.put(end))
        try:
            while (item := items.get()) is not end:
                yield item
            future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """End the thread."""
        self._stack.close()
