"""Chunks as llama-index nodes, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from fourfold.errors import InputError
from fourfold.types import Chunk

if TYPE_CHECKING:
    from llama_index.core.schema import NodeWithScore


def nodes_of(chunks: Iterable[tuple[Chunk, float | None]]) -> list[NodeWithScore]:
    """Nodes with the chunks' ids, texts and scores; document, pages and section are metadata that no prompt shows."""
    from llama_index.core.schema import NodeWithScore, TextNode

    found = []
    for chunk, score in chunks:
        metadata = {
            "doc_id": chunk.doc_id,
            "page_first": chunk.page_first,
            "page_last": chunk.page_last,
            "section": " › ".join(chunk.section),
        }
        node = TextNode(
            id_=chunk.chunk_id,
            text=chunk.text,
            metadata=metadata,
            excluded_llm_metadata_keys=list(metadata),
            excluded_embed_metadata_keys=list(metadata),
        )
        found.append(NodeWithScore(node=node, score=score))
    return found


def chunks_of(nodes: Sequence[NodeWithScore], chunks: Mapping[str, Chunk]) -> list[Chunk]:
    """The chunks that nodes stand for.

    Args:
        nodes: with ids of chunks.
        chunks: by id.

    Raises:
        InputError: a node is of another index.
    """
    others = [one.node.node_id for one in nodes if one.node.node_id not in chunks]
    if others:
        raise InputError(
            "a node is no chunk of this index",
            seen=", ".join(others[:3]),
            expected="nodes that a retriever over the same chunks gave",
            hint="put this part behind such a retriever, and before parts that make new nodes",
        )
    return [chunks[one.node.node_id] for one in nodes]
