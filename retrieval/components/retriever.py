"""A search over the index, and the whole path with its modules, as llama-index retrievers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fourfold.retrieval.components.nodes import nodes_of
from fourfold.retrieval.fusion import fuse_ranks
from fourfold.retrieval.modules.pipeline import RetrievalPath
from fourfold.retrieval.modules.ports import Search
from fourfold.types import Chunk

if TYPE_CHECKING:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle


def as_llama_index_retriever(
    search: Search, chunks: Mapping[str, Chunk], *, k: int, rrf_constant: int = 60
) -> BaseRetriever:
    """A retriever that searches every text of a query bundle and fuses what they find by reciprocal ranks.

    Args:
        search: the index; narrowed to a document or to titles, it stays one.
        chunks: by id.
        k: nodes given.
        rrf_constant: of the fusion; a bundle with one text keeps the search's own scores.
    """

    def find(bundle: QueryBundle) -> list[NodeWithScore]:
        texts = dict.fromkeys(bundle.embedding_strs)
        rows = search([(str(number), text) for number, text in enumerate(texts)], k)
        if len(texts) == 1:
            return nodes_of((chunks[row.chunk_id], row.score) for row in rows)
        rankings: dict[str, list[str]] = {}
        for row in rows:
            rankings.setdefault(row.question_id, []).append(row.chunk_id)
        fused = fuse_ranks(list(rankings.values()), constant=rrf_constant)
        return nodes_of((chunks[chunk_id], score) for chunk_id, score in fused[:k])

    return _make(find)


def as_llama_index_path(path: RetrievalPath, chunks: Mapping[str, Chunk]) -> BaseRetriever:
    """A retriever that goes the whole way: rewriter, trigger, memory and filter, as far as they are switched on.

    Args:
        path: reads memory and writes nothing to it.
        chunks: by id.
    """

    def find(bundle: QueryBundle) -> list[NodeWithScore]:
        found = path.find([("", bundle.query_str)])
        return nodes_of((chunks[row.chunk_id], row.score) for row in found.retrieved)

    return _make(find)


def _make(find: Callable[[QueryBundle], list[NodeWithScore]]) -> BaseRetriever:
    from llama_index.core.base.base_retriever import BaseRetriever

    class PartRetriever(BaseRetriever):  # type: ignore[misc]
        """A part as llama-index takes it."""

        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            return find(query_bundle)

    return PartRetriever()
