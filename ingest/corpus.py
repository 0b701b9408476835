"""A folder of PDF files → the documents of a study.

Every file ends up in the record, read or not; what a study runs on is never a silent subset of its folder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fourfold.errors import DocumentError
from fourfold.ingest.listing import Listed, find_pdfs, list_pdfs
from fourfold.ingest.passwords import require_files
from fourfold.ingest.pdf import unopened
from fourfold.ingest.reader import FileTask
from fourfold.ingest.reading import DEFAULTS, ReadOptions
from fourfold.ingest.workers import Progress, default_workers, read_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from fourfold.types import Block, Document

__all__ = ["Corpus", "find_pdfs", "iter_corpus", "read_corpus"]

_N_LISTED = 10  # files named in an error; a folder may hold thousands


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """All documents of a folder in the order of their names, and the blocks of those that were read.

    A copy of another file has its `doc_id` too, and is unread; among read documents a `doc_id` is unique.
    """

    documents: tuple[Document, ...]
    blocks: tuple[Block, ...]


def read_corpus(
    folder: Path,
    *,
    options: ReadOptions = DEFAULTS,
    n_workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Corpus:
    """Read every PDF file of a folder.

    Args:
        folder: see `find_pdfs`.
        options: passwords, OCR and limits.
        n_workers: reader processes; None starts what machine and folder ask for, 0 reads in this process. What is
            read does not depend on it.
        on_progress: called after each page and each file.

    Returns:
        All documents, with their path relative to the folder as name. Of files with the same bytes the first by name
        is read; the others are unread and name it.

    Raises:
        DocumentError: what `find_pdfs` raises, no file could be read, a password for a file that is not there, or OCR
            of every page without Tesseract.
        SystemFaultError: a reader process does not start.
    """
    documents: list[Document] = []
    blocks: list[Block] = []
    for document, read in iter_corpus(folder, options=options, n_workers=n_workers, on_progress=on_progress):
        documents.append(document)
        blocks.extend(read)
    if not any(document.status == "read" for document in documents):
        raise _none_readable(folder, documents)
    return Corpus(documents=tuple(documents), blocks=tuple(blocks))


def iter_corpus(
    folder: Path,
    *,
    options: ReadOptions = DEFAULTS,
    n_workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[tuple[Document, tuple[Block, ...]]]:
    """As `read_corpus`, one document after the other in the order of their names, for a corpus larger than memory."""
    if options.ocr.mode == "force" and options.ocr.missing:
        raise DocumentError(
            "Every page is to be read by OCR, which cannot run",
            seen=f"corpus.ocr = force; missing: {options.ocr.missing}",
            expected="Tesseract and its data for corpus.ocr_language",
            hint="install what is missing, or set corpus.ocr to auto or off",
        )
    listed = list_pdfs(folder)
    require_files(options.passwords, (file.name for file in listed))
    copies = _copies(listed)
    tasks = [
        FileTask(path=file.path, name=file.name, doc_id=file.doc_id, n_bytes=file.n_bytes)
        for file in listed
        if file.doc_id is not None and file.name not in copies
    ]
    n_started = default_workers(len(tasks)) if n_workers is None else n_workers
    results = read_files(tasks, options, n_workers=n_started, on_progress=on_progress)
    for file in listed:
        if file.problem is not None:
            yield unopened(file.name, file.problem), ()
        elif file.name in copies:
            yield unopened(file.name, f"identical to {copies[file.name]}", doc_id=file.doc_id), ()
        else:
            done = next(results)
            yield replace(done.document, notes=(*file.notes, *done.document.notes)), done.blocks


def _copies(listed: Sequence[Listed]) -> dict[str, str]:
    """Name of each file whose bytes stand under an earlier name, and that name."""
    first: dict[str, str] = {}
    copies = {}
    for file in listed:
        if file.doc_id is not None and first.setdefault(file.doc_id, file.name) != file.name:
            copies[file.name] = first[file.doc_id]
    return copies


def _none_readable(folder: Path, documents: Sequence[Document]) -> DocumentError:
    reasons = "".join(f"\n    {document.name}: {document.reason}" for document in documents[:_N_LISTED])
    more = f"\n    and {len(documents) - _N_LISTED} more" if len(documents) > _N_LISTED else ""
    return DocumentError(
        "None of the PDF files can be read",
        seen=f"{folder} with {len(documents)} of them:{reasons}{more}",
        expected="at least one PDF file with text and, if it is encrypted, a password that opens it",
        hint="put right what the reasons name, or name another folder",
    )
