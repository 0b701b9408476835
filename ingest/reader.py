"""A reader: the process that reads PDFs for `fourfold.ingest.workers`, one at a time, until its pipe is closed.

MuPDF is C that is fed what others wrote: a file that crashes it, or that never ends, takes this process with it and
nothing else.
"""

from __future__ import annotations

import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import pymupdf

from fourfold.ingest.pdf import doc_id_of, parse_pdf, unopened

if TYPE_CHECKING:
    from collections.abc import Callable

    from fourfold.ingest.reading import ReadOptions
    from fourfold.types import Block, Document

_MEMORY_BYTES = 2_000_000_000
# A backstop for the machine's sake, not a budget: a reader needs 150 to 600 MB.
_OUTLIVED = 3  # times the limit of a page after which a reader ends itself, its parent having ended without a word

CHANGED = "changed while the corpus was read; run again"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTask:
    """A file to read: where it is, the document's name, and the `doc_id` and size that its bytes had when listed."""

    path: Path
    name: str
    doc_id: str
    n_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDone:
    """Sent after each page."""

    page: int
    n_pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDone:
    """Sent after each file."""

    document: Document
    blocks: tuple[Block, ...]


def read_task(task: FileTask, options: ReadOptions, on_page: Callable[[int, int], None] | None = None) -> FileDone:
    """Read one file; whatever goes wrong with it is its record's reason."""
    try:
        data = task.path.read_bytes()
    except OSError as error:
        reason = f"cannot be opened: {error.strerror or error}"
        return FileDone(document=unopened(task.name, reason, doc_id=task.doc_id), blocks=())
    if doc_id_of(data) != task.doc_id:
        return FileDone(document=unopened(task.name, CHANGED, doc_id=task.doc_id), blocks=())
    try:
        document, blocks = parse_pdf(data, name=task.name, options=options, on_page=on_page)
    except Exception as error:  # noqa: BLE001 (a worker's boundary: one file's fault is not the corpus')
        reason = f"our reader failed: {type(error).__name__}: {error}"
        return FileDone(document=unopened(task.name, reason, doc_id=task.doc_id), blocks=())
    finally:
        pymupdf.TOOLS.store_shrink(100)
    return FileDone(document=document, blocks=blocks)


def serve(descriptor: int) -> None:
    """Read what comes through a pipe; answers "ready" first, then pages and files.

    Args:
        descriptor: of the pipe's own end.
    """
    soft = min(_MEMORY_BYTES, hard) if (hard := resource.getrlimit(resource.RLIMIT_DATA)[1]) > 0 else _MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    # The parent ends its readers itself; a Ctrl-C that reaches the whole group must not print a traceback for each.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(descriptor) as pipe, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        options: ReadOptions = pipe.recv()
        pipe.send("ready")
        while True:
            task: FileTask = pipe.recv()
            _alive(options)
            pipe.send(read_task(task, options, _teller(pipe, options)))
            signal.alarm(0)


def _teller(pipe: Connection, options: ReadOptions) -> Callable[[int, int], None]:
    def tell(page: int, n_pages: int) -> None:
        _alive(options)
        pipe.send(PageDone(page=page, n_pages=n_pages))

    return tell


def _alive(options: ReadOptions) -> None:
    # The signal's default action ends the process, inside MuPDF's loops too.
    signal.alarm(1 + round(_OUTLIVED * options.seconds_per_page))
