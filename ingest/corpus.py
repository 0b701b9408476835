"""A folder of PDF files → the documents of a study.

Every file ends up in the record, read or not; what a study runs on is never a silent subset of its folder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fourfold.errors import DocumentError
from fourfold.ingest.pdf import doc_id_of, parse_pdf, unopened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fourfold.types import Block, Document

_N_LISTED = 10  # files named in an error; a folder may hold thousands


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """All documents of a folder in the order of their names, and the blocks of those that were read.

    A copy of another file has its `doc_id` too, and is unread; among read documents a `doc_id` is unique.
    """

    documents: tuple[Document, ...]
    blocks: tuple[Block, ...]


def find_pdfs(folder: Path) -> tuple[Path, ...]:
    """The PDF files in a folder and the folders below it.

    Args:
        folder: the folder; links to folders inside it are not followed.

    Returns:
        Files whose name ends in .pdf in upper or lower case, sorted by their path relative to the folder. A link that
        leads nowhere is among them, so that it is reported as a file that cannot be opened.

    Raises:
        DocumentError: the folder is missing, is a file, or holds no such file.
    """
    if not folder.exists():
        raise DocumentError(
            "The folder of documents is missing",
            seen=folder,
            expected="a folder that holds PDF files",
            hint="check the path; a relative one starts from where the command is run",
        )
    if not folder.is_dir():
        raise DocumentError(
            "The documents are not a folder",
            seen=folder,
            expected="a folder that holds PDF files",
            hint=f"name the folder that the file is in: {folder.parent}",
        )
    named = (path for path in folder.rglob("*") if path.suffix.lower() == ".pdf")
    found = [path for path in named if path.is_file() or (path.is_symlink() and not path.exists())]
    if not found:
        raise DocumentError(
            "There are no PDF files in the folder of documents",
            seen=folder,
            expected="at least one file whose name ends in .pdf, in it or in a folder below it",
            hint="put the PDF files there, or name another folder",
        )
    return tuple(sorted(found, key=lambda path: path.relative_to(folder).as_posix()))


def read_corpus(folder: Path, *, on_file: Callable[[int, int, str], None] | None = None) -> Corpus:
    """Read every PDF file of a folder.

    Args:
        folder: see `find_pdfs`.
        on_file: called after each file with how many are done, how many there are and the file's name.

    Returns:
        All documents, with their path relative to the folder as name. Of files with the same bytes the first by name
        is read; the others are unread and name it.

    Raises:
        DocumentError: what `find_pdfs` raises, or no file could be read.
    """
    paths = find_pdfs(folder)
    documents: list[Document] = []
    blocks: list[Block] = []
    seen: dict[str, str] = {}
    for done, path in enumerate(paths, start=1):
        # A file system's name need not be text; what is not becomes a question mark in a diamond.
        name = path.relative_to(folder).as_posix().encode(errors="surrogateescape").decode(errors="replace")
        document, read = _read_new(path, name, seen=seen)
        documents.append(document)
        blocks.extend(read)
        if on_file is not None:
            on_file(done, len(paths), name)
    if not any(document.status == "read" for document in documents):
        raise _none_readable(folder, documents)
    return Corpus(documents=tuple(documents), blocks=tuple(blocks))


def _read_new(path: Path, name: str, *, seen: dict[str, str]) -> tuple[Document, tuple[Block, ...]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        return unopened(name, error), ()
    first = seen.setdefault(doc_id_of(data), name)
    if first == name:
        return parse_pdf(data, name=name)
    copy = replace(unopened(name, OSError()), doc_id=doc_id_of(data), reason=f"identical to {first}")
    return copy, ()


def _none_readable(folder: Path, documents: list[Document]) -> DocumentError:
    reasons = "".join(f"\n    {document.name}: {document.reason}" for document in documents[:_N_LISTED])
    more = f"\n    and {len(documents) - _N_LISTED} more" if len(documents) > _N_LISTED else ""
    return DocumentError(
        "None of the PDF files can be read",
        seen=f"{folder} with {len(documents)} of them:{reasons}{more}",
        expected="at least one PDF file with a text layer and without a password",
        hint="put right what the reasons name, or name another folder",
    )
