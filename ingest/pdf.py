"""One PDF file → its record and its blocks.

A file that cannot be used is a record with a reason, not an error: a corpus goes on without it, and its owner reads
why. The text layer is all that is read; pages that are pictures of text are listed for an OCR program.
"""

from __future__ import annotations

import hashlib
import logging
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pymupdf

from fourfold.ingest.furniture import strip_furniture
from fourfold.ingest.pages import PageText, join_lines, read_page, words_of
from fourfold.ingest.sections import Piece, find_sections
from fourfold.types import BLOCK_SEPARATOR, BBox, Block, Document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

# What PyMuPDF raises on damaged files: MuPDF's own errors, and Python's where it trusts what it finds in the file.
_FAULTS = (
    pymupdf.mupdf.FzErrorBase,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
)


_ONLY_FURNITURE = "no text but running headers and page numbers; if its pages are pictures, OCR it first"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """What could be read of a file. `reason` says why nothing could, where nothing could."""

    pages: tuple[PageText, ...] = ()
    failed_pages: tuple[int, ...] = ()
    outline: tuple[tuple[int, str, int], ...] = ()
    title: str = ""
    n_pages: int = 0
    reason: str | None = None


def read_pdf(path: Path) -> tuple[Document, tuple[Block, ...]]:
    """Read one PDF file.

    Args:
        path: the file. The document's name is the file's; its title is the one in its metadata, or the name's stem.

    Returns:
        The document and its blocks. For a file that cannot be used the document's status is "unread", its reason says
        why, and there are no blocks; no exception leaves for what the file holds or for a file that is not there.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        return unopened(path.name, error), ()
    return parse_pdf(data, name=path.name)


def unopened(name: str, error: OSError) -> Document:
    """The record of a file whose bytes could not be had; its `doc_id` hashes its name, there being no bytes."""
    doc_id = hashlib.sha256(b"unopened:" + name.encode(errors="replace")).hexdigest()[:16]
    reason = f"cannot be opened: {error.strerror or error}"
    title = PurePosixPath(name).stem
    return Document(doc_id=doc_id, name=name, title=title, status="unread", reason=reason, n_pages=0, n_chars=0)


def doc_id_of(data: bytes) -> str:
    """The first 16 hex digits of the SHA-256 of a file's bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def parse_pdf(data: bytes, *, name: str) -> tuple[Document, tuple[Block, ...]]:
    """Read one PDF from its bytes; `read_pdf` says what comes back.

    Args:
        data: the file's bytes.
        name: the document's name.
    """
    with _quiet_mupdf():
        try:
            contents = _read(data)
        except _FAULTS as error:
            contents = _Contents(reason=_why_broken(data, error))
    doc_id = doc_id_of(data)
    title = contents.title or PurePosixPath(name).stem
    blocks = () if contents.reason else _blocks(contents, doc_id)
    reason = contents.reason or (None if blocks else _ONLY_FURNITURE)
    pictures = {page.number for page in contents.pages if page.content == "images"}
    document = Document(
        doc_id=doc_id,
        name=name,
        title=title,
        status="unread" if reason else "read",
        reason=reason,
        n_pages=contents.n_pages,
        n_chars=blocks[-1].end if blocks else 0,
        unread_pages=tuple(sorted(pictures | set(contents.failed_pages))),
    )
    return document, blocks


@contextmanager
def _quiet_mupdf() -> Iterator[None]:
    """Keep MuPDF's messages off stderr; they stay readable through `TOOLS.mupdf_warnings`."""
    tools = pymupdf.TOOLS
    shown = tools.mupdf_display_errors(), tools.mupdf_display_warnings()
    tools.mupdf_display_errors(False)
    tools.mupdf_display_warnings(False)
    tools.reset_mupdf_warnings()
    try:
        yield
    finally:
        tools.reset_mupdf_warnings()
        tools.mupdf_display_errors(shown[0])
        tools.mupdf_display_warnings(shown[1])


def _read(data: bytes) -> _Contents:
    if not data:
        return _Contents(reason="empty file: 0 bytes")
    # As bytes: the file is closed already, and cannot change between hashing and reading.
    with pymupdf.open(stream=data, filetype="pdf") as pdf:
        if not pdf.is_pdf:
            return _Contents(reason=_not_a_pdf(data))
        if pdf.needs_pass:
            return _Contents(reason="encrypted: it asks for a password; put a copy saved without one in its place")
        if pdf.page_count == 0:
            return _Contents(reason=_why_no_pages(data, repaired=pdf.is_repaired))
        pages, failed = _pages(pdf)
        try:
            outline = tuple((int(level), _plain(title), int(page)) for level, title, page, *_ in pdf.get_toc())
        except _FAULTS:
            outline = ()  # a damaged outline is as good as none: headings are told by their looks
        return _Contents(
            pages=pages,
            failed_pages=failed,
            outline=outline,
            title=_plain((pdf.metadata or {}).get("title")),
            n_pages=pdf.page_count,
            reason=_why_no_text(pages),
        )


def _plain(text: object) -> str:
    """A string of the file's that can be printed and stored: no controls, no halves of surrogate pairs."""
    kept = "".join(letter for letter in str(text or "") if unicodedata.category(letter) not in {"Cc", "Cs"})
    return unicodedata.normalize("NFC", " ".join(kept.split()))


def _pages(pdf: Any) -> tuple[tuple[PageText, ...], tuple[int, ...]]:
    pages, failed = [], []
    for number in range(1, pdf.page_count + 1):
        try:
            pages.append(read_page(pdf[number - 1], number=number))
        except _FAULTS as error:
            _log.debug("page %d: %s", number, error)
            failed.append(number)
    return tuple(pages), tuple(failed)


def _why_no_text(pages: tuple[PageText, ...]) -> str | None:
    contents = {page.content for page in pages}
    if "text" in contents:
        return None
    if "images" in contents:
        return "image only: no text layer; OCR it first"
    if "drawings" in contents:
        return "no text: only drawings (letters drawn as shapes, perhaps); OCR it first"
    return "blank: no text and no images on any page" if pages else "broken beyond repair: no page could be read"


def _why_no_pages(data: bytes, *, repaired: bool) -> str:
    if not _is_pdf(data):
        return _not_a_pdf(data)
    return "broken beyond repair: no pages are left, as if the file were cut short" if repaired else "no pages"


def _is_pdf(data: bytes) -> bool:
    return b"%PDF-" in data[:1024]  # where readers look for it (ISO 32000-1, annex H, note 13)


def _not_a_pdf(data: bytes) -> str:
    return f"not a PDF: it starts with {data[:16]!r} in place of %PDF-"


def _why_broken(data: bytes, error: Exception) -> str:
    if not _is_pdf(data):
        return _not_a_pdf(data)
    said = (pymupdf.TOOLS.mupdf_warnings(reset=0) or str(error)).strip().splitlines()
    return f"broken beyond repair: MuPDF says {said[0] if said else type(error).__name__!r}"


def _blocks(contents: _Contents, doc_id: str) -> tuple[Block, ...]:
    pages, n_furniture = strip_furniture(contents.pages)
    sections = find_sections(pages, contents.outline)
    _log.debug(
        "%s: %d characters of furniture, %d of %d outline entries found, headings by %s",
        *(doc_id, n_furniture, sections.n_found, sections.n_entries, sections.source),
    )
    words = words_of(pages)
    blocks: list[Block] = []
    start = 0
    for piece in sections.pieces:
        text = join_lines(piece.lines, words=words)
        if not text:
            continue
        blocks.append(_block(piece, doc_id, position=len(blocks), start=start, text=text))
        start = blocks[-1].end + len(BLOCK_SEPARATOR)
    whole = BLOCK_SEPARATOR.join(block.text for block in blocks)
    assert all(whole[block.start : block.end] == block.text for block in blocks)
    return tuple(blocks)


def _block(piece: Piece, doc_id: str, *, position: int, start: int, text: str) -> Block:
    boxes = zip(*(line.bbox for line in piece.lines), strict=True)
    x0s, y0s, x1s, y1s = boxes
    bbox: BBox = (min(x0s), min(y0s), max(x1s), max(y1s))
    return Block(
        doc_id=doc_id,
        position=position,
        kind=piece.kind,
        page=piece.page,
        bbox=bbox,
        start=start,
        end=start + len(text),
        section=piece.section,
        text=text,
    )
