"""Files read in several processes, given back in their order.

A reader (`fourfold.ingest.reader`) that crashes or comes to no further page in time is ended and replaced; the file it
had is unread with a reason, and the others go on. Readers are started by their own command and not by
`multiprocessing`, which would import the caller's main module in each of them: a script without a guard around its
last line would start itself again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path

from fourfold.errors import SystemFaultError
from fourfold.ingest.pdf import unopened
from fourfold.ingest.reader import FileDone, FileTask, PageDone, read_task
from fourfold.ingest.reading import ReadOptions

READER_BYTES = 600_000_000  # what one reader may need; as many are started as fit

_AHEAD = 32
# Files per reader that may be read ahead of the first one that is not done, the largest first: enough to keep every
# reader busy to the end, few enough to bound what is held.
_START_S = 60.0
_TICK_S = 0.5
_LAST_WORDS_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the reading is."""

    n_done: int
    n_files: int
    n_pages: int
    n_bytes_done: int
    n_bytes: int


def default_workers(n_files: int) -> int:
    """How many readers to start: one per CPU of this process, as many as fit the free memory, no more than files."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    free = _free_bytes()
    fitting = cpus if free is None else max(1, free // READER_BYTES)
    return max(1, min(cpus, fitting, n_files))


def _free_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def read_files(
    tasks: Sequence[FileTask],
    options: ReadOptions,
    *,
    n_workers: int,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[FileDone]:
    """Read files.

    Args:
        tasks: the files.
        options: see `ReadOptions`.
        n_workers: reader processes; 0 reads in this process, where a crash or a hang is the caller's.
        on_progress: called after each page and each file.

    Yields:
        Their documents and blocks, in the order of the tasks; they do not depend on `n_workers`.

    Raises:
        SystemFaultError: a reader does not start.
    """
    count = _Count(tasks, on_progress)
    if n_workers == 0:
        for task in tasks:
            done = read_task(task, options, count.page)
            count.file(task)
            yield done
        return
    pool = _Pool(tasks, options, count)
    try:
        pool.start(min(n_workers, len(tasks)))
        yield from pool.results()
    finally:
        pool.close()


class _Count:
    def __init__(self, tasks: Sequence[FileTask], on_progress: Callable[[Progress], None] | None) -> None:
        self._on_progress = on_progress
        self._n_files, self._n_bytes = len(tasks), sum(task.n_bytes for task in tasks)
        self._n_done = self._n_pages = self._n_bytes_done = 0

    def page(self, *_: int) -> None:
        self._n_pages += 1
        self._tell()

    def file(self, task: FileTask) -> None:
        self._n_done += 1
        self._n_bytes_done += task.n_bytes
        self._tell()

    def _tell(self) -> None:
        if self._on_progress is not None:
            progress = Progress(
                n_done=self._n_done,
                n_files=self._n_files,
                n_pages=self._n_pages,
                n_bytes_done=self._n_bytes_done,
                n_bytes=self._n_bytes,
            )
            self._on_progress(progress)


class _Reader:
    """One reader process and what it is at."""

    def __init__(self, options: ReadOptions) -> None:
        self.pipe, far = Pipe()
        # The path as it is here: the reader must find the same fourfold, and -P keeps the working folder out.
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from fourfold.ingest.reader import serve; serve({far.fileno()})"
        )
        command = [sys.executable, "-P", "-c", code]
        # In a session of its own, so that ending it ends what it started (Tesseract) too.
        self.process = subprocess.Popen(  # noqa: S603
            command,
            pass_fds=(far.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        far.close()
        self.pipe.send(options)
        self.ready = False
        self.heard = time.monotonic()
        self.task: int | None = None
        self.at: PageDone | None = None

    def give(self, number: int, task: FileTask) -> None:
        self.pipe.send(task)
        self.task, self.at, self.heard = number, None, time.monotonic()

    def end(self, *, patience_s: float = 0.0) -> int:
        """End the process; one that is ending by itself gets time to say how."""
        with suppress(subprocess.TimeoutExpired):
            if patience_s:
                self.process.wait(patience_s)
        # What it started is in its group; a group without members is none.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.pipe.close()
        return self.process.wait()


class _Pool:
    def __init__(self, tasks: Sequence[FileTask], options: ReadOptions, count: _Count) -> None:
        self._tasks, self._options, self._count = tasks, options, count
        self._waiting = set(range(len(tasks)))
        self._done: dict[int, FileDone] = {}
        self._readers: list[_Reader] = []
        self._next = 0

    def start(self, n_workers: int) -> None:
        for _ in range(n_workers):
            self._readers.append(_Reader(self._options))

    def close(self) -> None:
        for reader in self._readers:
            reader.end()

    def results(self) -> Iterator[FileDone]:
        while self._next < len(self._tasks):
            self._hand_out()
            by_pipe = {reader.pipe: reader for reader in self._readers}
            # What came in is heard first: a caller that paused is not taken for a reader that hangs.
            for pipe in wait(list(by_pipe), timeout=_TICK_S):
                assert isinstance(pipe, Connection)
                self._listen(by_pipe[pipe])
            self._end_the_hanging()
            while self._next in self._done:
                yield self._done.pop(self._next)
                self._next += 1

    def _hand_out(self) -> None:
        limit = self._next + _AHEAD * len(self._readers)
        for reader in self._readers:
            if reader.task is not None or not reader.ready:
                continue
            near = [at for at in range(self._next, min(limit, len(self._tasks))) if at in self._waiting]
            if not near:
                return
            number = max(near, key=lambda at: (self._tasks[at].n_bytes, -at))
            # A reader that died while it had no work is found by its pipe's end, and the file goes to the next.
            with suppress(OSError):
                reader.give(number, self._tasks[number])
                self._waiting.remove(number)

    def _listen(self, reader: _Reader) -> None:
        try:
            while reader.pipe.poll():
                message = reader.pipe.recv()
                reader.heard = time.monotonic()
                if isinstance(message, PageDone):
                    reader.at = message
                    self._count.page()
                elif isinstance(message, FileDone):
                    self._finish(reader, message)
                else:
                    reader.ready = True
        except (EOFError, OSError):
            self._replace(reader, None)

    def _end_the_hanging(self) -> None:
        limit = self._options.seconds_per_page
        for reader in list(self._readers):
            silent = time.monotonic() - reader.heard
            if reader.task is not None and silent > limit and not reader.pipe.poll():
                self._replace(reader, f"gave no sign for {limit:g} s (corpus.seconds_per_page)")
            elif not reader.ready and silent > _START_S:
                self._replace(reader, None)

    def _replace(self, reader: _Reader, reason: str | None) -> None:
        status = reader.end(patience_s=0.0 if reason else _LAST_WORDS_S)
        self._readers.remove(reader)
        if not reader.ready:
            raise _does_not_start(status)
        self._readers.append(_Reader(self._options))
        if reader.task is None:
            return
        task = self._tasks[reader.task]
        why = reason or f"the reader was ended by {_name_of(status)}"
        where = f" after page {reader.at.page} of {reader.at.n_pages}" if reader.at else ""
        self._finish(reader, FileDone(document=unopened(task.name, why + where, doc_id=task.doc_id), blocks=()))

    def _finish(self, reader: _Reader, done: FileDone) -> None:
        assert reader.task is not None
        self._done[reader.task] = done
        self._count.file(self._tasks[reader.task])
        reader.task = None


def _name_of(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _does_not_start(status: int) -> SystemFaultError:
    return SystemFaultError(
        "a process that reads PDF files does not start, or ended without work",
        seen=_name_of(status),
        expected="a process that stays until its files are read",
        hint="see what it wrote above; free memory, and run the same command again",
    )
