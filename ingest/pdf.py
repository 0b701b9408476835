"""One PDF file → its record and its blocks.

A file that cannot be used is a record with a reason, not an error: a corpus goes on without it, and its owner reads
why. Opening it and reading its pages is in `fourfold.ingest.contents`.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from fourfold.ingest.contents import Contents, read_contents
from fourfold.ingest.footnotes import mark_footnotes
from fourfold.ingest.furniture import strip_furniture
from fourfold.ingest.pages import shares, words_of
from fourfold.ingest.paragraphs import arrange, text_of
from fourfold.ingest.reading import DEFAULTS, ReadOptions
from fourfold.ingest.sections import Piece, find_sections
from fourfold.types import BLOCK_SEPARATOR, Block, Document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = logging.getLogger(__name__)

_ONLY_FURNITURE = "no text but running headers and page numbers; if its pages are pictures, OCR it first"


def read_pdf(path: Path, *, options: ReadOptions = DEFAULTS) -> tuple[Document, tuple[Block, ...]]:
    """Read one PDF file.

    Args:
        path: the file. The document's name is the file's; its title is the one in its metadata, or the name's stem.
        options: passwords, OCR and limits.

    Returns:
        The document and its blocks. For a file that cannot be used the document's status is "unread", its reason says
        why, and there are no blocks; no exception leaves for what the file holds or for a file that is not there.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        return unopened(path.name, f"cannot be opened: {error.strerror or error}"), ()
    return parse_pdf(data, name=path.name, options=options)


def unopened(name: str, reason: str, *, doc_id: str | None = None) -> Document:
    """The record of a file whose pages were never seen.

    Args:
        name: its name.
        reason: why.
        doc_id: its own, where its bytes are known; None hashes its name, there being no bytes.
    """
    made = doc_id or hashlib.sha256(b"unopened:" + name.encode(errors="replace")).hexdigest()[:16]
    title = PurePosixPath(name).stem
    return Document(doc_id=made, name=name, title=title, status="unread", reason=reason, n_pages=0, n_chars=0)


def doc_id_of(data: bytes) -> str:
    """The first 16 hex digits of the SHA-256 of a file's bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def parse_pdf(
    data: bytes,
    *,
    name: str,
    options: ReadOptions = DEFAULTS,
    on_page: Callable[[int, int], None] | None = None,
) -> tuple[Document, tuple[Block, ...]]:
    """Read one PDF from its bytes; `read_pdf` says what comes back.

    Args:
        data: the file's bytes.
        name: the document's name; its password is looked up by it.
        options: passwords, OCR and limits.
        on_page: called after each page with its number and how many there are.
    """
    contents = read_contents(data, name=name, options=options, on_page=on_page)
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
        ocr=contents.ocr,
        notes=contents.notes,
        kept=shares(contents.pages),
        language=contents.language,
    )
    return document, blocks


def _blocks(contents: Contents, doc_id: str) -> tuple[Block, ...]:
    pages, n_furniture = strip_furniture(contents.pages)
    sections = find_sections(mark_footnotes(pages), contents.outline)
    _log.debug(
        "%s: %d characters of furniture, %d of %d outline entries found, headings by %s",
        *(doc_id, n_furniture, sections.n_found, sections.n_entries, sections.source),
    )
    words = words_of(pages)
    blocks: list[Block] = []
    start = 0
    for piece in arrange(sections.pieces):
        text = text_of(piece, words=words)
        if not text:
            continue
        blocks.append(_block(piece, doc_id, position=len(blocks), start=start, text=text))
        start = blocks[-1].end + len(BLOCK_SEPARATOR)
    whole = BLOCK_SEPARATOR.join(block.text for block in blocks)
    assert all(whole[block.start : block.end] == block.text for block in blocks)
    return tuple(blocks)


def _block(piece: Piece, doc_id: str, *, position: int, start: int, text: str) -> Block:
    return Block(
        doc_id=doc_id,
        position=position,
        kind=piece.kind,
        page=piece.page,
        bbox=piece.bbox,
        start=start,
        end=start + len(text),
        section=piece.section,
        text=text,
        page_last=piece.page_last if piece.page_last > piece.page else None,
    )
