"""The embedding port as a llama-index embedding, for a pipeline that is built there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fourfold.embed.port import Embedder, Vectors

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding

# At once, so that an embedder can put texts of like length together.
_BATCH_TEXTS = 512


def as_llama_index_embedding(embedder: Embedder, *, name: str = "fourfold") -> BaseEmbedding:
    """A llama-index embedding; questions and passages are told apart as the embedder was trained to.

    Args:
        embedder: what embeds.
        name: what llama-index shows of the model.
    """
    from llama_index.core.base.embeddings.base import BaseEmbedding

    class PortEmbedding(BaseEmbedding):  # type: ignore[misc]
        """The port as llama-index takes it."""

        @classmethod
        def class_name(cls) -> str:
            """As llama-index shows it."""
            return "fourfold"

        def _get_query_embedding(self, query: str) -> list[float]:
            return _lists(embedder.embed([query], kind="query"))[0]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return await asyncio.to_thread(self._get_query_embedding, query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_text_embeddings([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return _lists(embedder.embed(texts, kind="passage"))

        async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return await asyncio.to_thread(self._get_text_embeddings, texts)

    return PortEmbedding(model_name=name, embed_batch_size=_BATCH_TEXTS)


def _lists(vectors: Vectors) -> list[list[float]]:
    found: list[list[float]] = vectors.tolist()
    return found
