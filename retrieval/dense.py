"""Dense search: Qdrant through llama-index."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from fourfold.embed.port import Vectors
from fourfold.errors import StoreError
from fourfold.types import Chunk

_COLLECTION = "chunks"


class DenseIndex:
    """A Qdrant collection in its embedded mode, in a folder of its own. Close it: the folder is locked while open.

    Raises:
        StoreError: another process has it open.
    """

    def __init__(self, folder: Path) -> None:
        from llama_index.vector_stores.qdrant import QdrantVectorStore
        from qdrant_client import QdrantClient

        try:
            self._client = QdrantClient(path=str(folder))
        except RuntimeError as error:
            raise StoreError(
                "the index cannot be opened",
                seen=error,
                expected=f"no other process that has {folder} open",
                hint="wait for the other run to end",
            ) from error
        self._store = QdrantVectorStore(collection_name=_COLLECTION, client=self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is pending and release the folder."""
        self._client.close()

    def add(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Add chunks with their vectors [N, D]."""
        from llama_index.core.schema import TextNode

        nodes = [
            TextNode(
                id_=_point_id(chunk.chunk_id),
                text=chunk.text,
                embedding=vector.tolist(),
                metadata={"chunk_id": chunk.chunk_id, "doc_id": chunk.doc_id, "section": " › ".join(chunk.section)},
            )
            for chunk, vector in zip(chunks, vectors, strict=True)
        ]
        with warnings.catch_warnings():
            # Over 20,000 points Qdrant advises its server; `fourfold check` says the same in our words.
            warnings.filterwarnings("ignore", message="Local mode is not recommended")
            # llama-index asks for payload indexes, which only the server has.
            warnings.filterwarnings("ignore", message="Payload indexes have no effect")
            self._store.add(nodes)

    def search(self, vectors: Vectors, limit: int) -> list[list[str]]:
        """Chunk ids by cosine, best first, for each query vector [Q, D]."""
        from llama_index.core.vector_stores.types import VectorStoreQuery

        found = []
        for vector in vectors:
            result = self._store.query(
                VectorStoreQuery(query_embedding=vector.astype(np.float64).tolist(), similarity_top_k=limit)
            )
            found.append([node.metadata["chunk_id"] for node in result.nodes or []])
        return found


def _point_id(chunk_id: str) -> str:
    """Qdrant takes UUIDs only: the chunk id's 96 bits, written as one."""
    padded = chunk_id.ljust(32, "0")
    return f"{padded[:8]}-{padded[8:12]}-{padded[12:16]}-{padded[16:20]}-{padded[20:32]}"
