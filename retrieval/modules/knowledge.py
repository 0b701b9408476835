"""What memory holds, and the titles it is found by."""

from __future__ import annotations

from dataclasses import dataclass

from fourfold.types import Chunk

TITLE_WORDS = 12
SHARED = "shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """One passage that the filter kept.

    Args:
        title: what a query is compared with; several passages can have the same.
        text: the passage.
        chunk_id: of the chunk it is; a passage stands in an owner's memory once.
        doc_id: of its document.
        source: the document's name for people.
        date: when it was added, ISO 8601; empty before it was.
    """

    title: str
    text: str
    chunk_id: str
    doc_id: str
    source: str
    date: str = ""


def title_of(chunk: Chunk, document: str) -> str:
    """Document › section path; of a bare passage (neither is known) its first twelve words.

    Args:
        chunk: with its section path.
        document: its document's title; empty for a bare passage.
    """
    parts = [part for part in (document, *chunk.section) if part]
    return " › ".join(parts) if parts else " ".join(chunk.text.split()[:TITLE_WORDS])


def knowledge_of(chunk: Chunk, *, document: str = "", source: str = "") -> Knowledge:
    """A chunk as memory holds it.

    Args:
        chunk: the passage.
        document: its document's title; empty for a bare passage.
        source: the document's name for people.
    """
    return Knowledge(
        title=title_of(chunk, document), text=chunk.text, chunk_id=chunk.chunk_id, doc_id=chunk.doc_id, source=source
    )
