"""Retrieved rows as the texts that prompts show."""

from __future__ import annotations

from collections.abc import Iterable

from fourfold.types import Chunk, Retrieved


def contexts_of(retrieved: Iterable[Retrieved], chunks: Iterable[Chunk]) -> dict[str, list[str]]:
    """Per question id, the chunk texts in rank order."""
    text = {chunk.chunk_id: chunk.text for chunk in chunks}
    contexts: dict[str, list[str]] = {}
    for row in sorted(retrieved, key=lambda row: row.rank):
        contexts.setdefault(row.question_id, []).append(text[row.chunk_id])
    return contexts
