"""Chunks with real offsets, and counts of words in place of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from fourfold.retrieval.context.passage import Passage, passage_of
from fourfold.types import Chunk


def chunk_at(text: str, span: tuple[int, int], *, section: tuple[str, ...] = (), doc_id: str = "d") -> Chunk:
    start, end = span
    own = text[start:end]
    return Chunk(
        chunk_id=f"{doc_id}:{start}-{end}", doc_id=doc_id, position=start, start=start, end=end, page_first=1,
        page_last=1, section=section, n_tokens=len(own.split()), text=own,
    )  # fmt: skip


def chunk_of(text: str, *, doc_id: str = "d") -> Chunk:
    return chunk_at(text, (0, len(text)), doc_id=doc_id)


def passages(*texts: str) -> tuple[Passage, ...]:
    return tuple(passage_of(chunk_of(text, doc_id=f"d{at}")) for at, text in enumerate(texts))


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]
