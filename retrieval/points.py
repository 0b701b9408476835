"""Chunks as points of a Qdrant collection: what a point is called, and what stands beside its vector."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fourfold.digest import digest_of
from fourfold.types import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One chunk to be stored under `point_id`.

    `part` names one document as it was cut: results that share a server's collection keep their chunks apart by it, for
    one document cut in two ways has two parts, and an unchanged document has the same part in every result.
    """

    point_id: str
    part: str
    chunk: Chunk

    @property
    def payload(self) -> Mapping[str, str]:
        """What can be filtered by, and what leads back to the chunk; its text stands in the store."""
        chunk = self.chunk
        return {
            "chunk_id": chunk.chunk_id,
            "doc_id": chunk.doc_id,
            "section": " › ".join(chunk.section),
            "part": self.part,
        }


def points_of(chunks: Sequence[Chunk]) -> tuple[Point, ...]:
    """Chunks of any documents as points, in order.

    A point's id is a digest of chunk and part: written again it replaces itself, and what stands under an id never
    changes.
    """
    by_document: dict[str, list[str]] = {}
    for chunk in chunks:
        by_document.setdefault(chunk.doc_id, []).append(chunk.chunk_id)
    parts = {doc_id: digest_of(ids)[:32] for doc_id, ids in by_document.items()}
    return tuple(
        Point(
            # Qdrant takes UUIDs only: 128 bits of the digest, written as one.
            point_id=str(uuid.UUID(hex=digest_of([parts[chunk.doc_id], chunk.chunk_id])[:32])),
            part=parts[chunk.doc_id],
            chunk=chunk,
        )
        for chunk in chunks
    )
