"""Settings: chunks and their vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator

from fourfold.study.model import EndpointSettings
from fourfold.study.settings import EMBEDDED, Settings


class EmbeddingEndpoint(EndpointSettings):
    """An OpenAI-compatible server that embeds in place of a model in this process."""

    dimensions: int | None = Field(None, ge=1, description="numbers in a vector, where the server can shorten it")
    batch_texts: int = Field(64, ge=1, le=2048, description="texts sent in one request")

    @field_validator("adapters")
    @classmethod
    def _no_adapters(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        if value:
            raise ValueError("has no meaning for an embedder")
        return value


class IndexSettings(Settings):
    """Chunks and their vectors."""

    embedder: str = Field(EMBEDDED, min_length=1, description="'embedded' (all-MiniLM-L6-v2), an id, or a folder")
    endpoint: EmbeddingEndpoint | None = Field(
        None, description="a server that embeds; null: the embedder runs in this process"
    )
    query_prompt: str | None = Field(
        None, description="put before a question ('query: ' for E5); null: what the embedder's files name, else nothing"
    )
    passage_prompt: str | None = Field(None, description="put before a passage; null: as for query_prompt")
    chunker: Literal["tokens", "section", "sentence_window", "hierarchical"] = Field(
        "tokens",
        description="tokens: sentences while they fit; section: never over two; sentence_window: each begins in the "
        "middle of the one before; hierarchical: whole, half and quarter length",
    )
    chunk_tokens: int = Field(
        192,
        ge=16,
        le=8192,
        description="tokens of the student's tokenizer, at most, per chunk",
    )
    chunk_overlap: int = Field(24, ge=0, description="tokens that neighbouring chunks share, at most")
    quantisation: Literal["none", "int8"] = Field(
        "none", description="int8: a Qdrant server searches 8-bit copies of the vectors, approximately; none: exactly"
    )
