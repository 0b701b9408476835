"""A folder → the PDF files in it, each with what can be known without reading it as a PDF."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from fourfold.errors import DocumentError
from fourfold.ingest.contents import too_large
from fourfold.ingest.reading import MAX_FILE_BYTES

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One file by its name, which is its path relative to the folder.

    `doc_id` is the first 16 hex digits of the SHA-256 of its bytes, and None exactly where `problem` says why they
    could not be had. `notes` go to its record.
    """

    path: Path
    name: str
    n_bytes: int
    doc_id: str | None
    problem: str | None
    notes: tuple[str, ...] = ()


def find_pdfs(folder: Path) -> tuple[Path, ...]:
    """The PDF files in a folder and the folders below it.

    Args:
        folder: the folder; links to folders inside it are not followed, links to files are.

    Returns:
        Files whose name ends in .pdf in upper or lower case, sorted by their path relative to the folder. A link that
        leads nowhere and what is neither file nor folder are among them, so that they are reported.

    Raises:
        DocumentError: the folder is missing, is a file, or holds no such file; a folder in it cannot be listed.
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
    # Links to folders are in walk's folders, not in its files.
    found = [
        Path(parent) / name
        for parent, _, names in os.walk(folder, onerror=_raise_unlisted)
        for name in names
        if name.lower().endswith(".pdf")
    ]
    if not found:
        raise DocumentError(
            "There are no PDF files in the folder of documents",
            seen=folder,
            expected="at least one file whose name ends in .pdf, in it or in a folder below it",
            hint="put the PDF files there, or name another folder",
        )
    return tuple(sorted(found, key=lambda path: path.relative_to(folder).as_posix()))


def _raise_unlisted(error: OSError) -> None:
    raise DocumentError(
        "A folder of documents cannot be listed",
        seen=f"{error.filename}: {error.strerror}",
        expected="folders that can be read: files in it would be left out without a word",
        hint="give yourself the right to read it, or move it elsewhere",
    ) from error


def list_pdfs(folder: Path) -> tuple[Listed, ...]:
    """The files that `find_pdfs` finds, each with the digest of its bytes.

    Raises:
        DocumentError: see `find_pdfs`.
    """
    # Resolved once: where a link leads is told by comparing whole paths.
    home = folder.resolve()
    return tuple(_listed(path, folder, home) for path in find_pdfs(folder))


def _listed(path: Path, folder: Path, home: Path) -> Listed:
    # A file system's name need not be text; what is not becomes a question mark in a diamond.
    name = path.relative_to(folder).as_posix().encode(errors="surrogateescape").decode(errors="replace")
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            return Listed(path=path, name=name, n_bytes=0, doc_id=None, problem="not a file but a pipe, device or link")
        if about.st_size > MAX_FILE_BYTES:
            return Listed(path=path, name=name, n_bytes=0, doc_id=None, problem=too_large(about.st_size))
        outside = path.is_symlink() and not path.resolve().is_relative_to(home)
        doc_id = _doc_id(path)
    except OSError as error:
        problem = f"cannot be opened: {error.strerror or error}"
        return Listed(path=path, name=name, n_bytes=0, doc_id=None, problem=problem)
    notes = ("read through a link that leads out of the folder",) if outside else ()
    return Listed(path=path, name=name, n_bytes=about.st_size, doc_id=doc_id, problem=None, notes=notes)


def _doc_id(path: Path) -> str:
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK_BYTES):
            sha.update(block)
    return sha.hexdigest()[:16]
