"""Embeddings by an OpenAI-compatible server (vLLM, Ollama, llama.cpp's server, a hosted API).

Retries, pace and faults are those of the language model's endpoint. Some servers cut a text that is too long without a
word (Ollama): give their model a context that is long enough for a chunk.
"""

from __future__ import annotations

import asyncio
import functools
import json
import random
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import httpx
import numpy as np
from pydantic import BaseModel

from fourfold.embed.port import Kind, Vectors
from fourfold.embed.prompts import Prompts
from fourfold.errors import ModelError
from fourfold.llm.endpoint.client import Client
from fourfold.llm.endpoint.clock import Clock
from fourfold.llm.endpoint.faults import PassingError, RefusedError, not_openai
from fourfold.llm.endpoint.loop import LoopThread
from fourfold.llm.endpoint.replies import ErrorBody, read_as, words_of
from fourfold.llm.endpoint.served import Served, look_up
from fourfold.study import EmbeddingEndpoint

# Part of every vector's key: raise when the same text would be embedded otherwise.
ENGINE = "openai-embeddings-1"
_PATH = "/embeddings"
_SHOWN = 80


class EndpointEmbedder:
    """One embedding model of one endpoint. Close it, or use it in a `with` statement.

    Args:
        settings: addresses, model, limits.
        key: for the endpoint; None: none is sent.
        jitter: of the waits between tries.
        prompts: words before questions and passages: no server adds them.
        clock: time.

    Raises:
        ModelError: the key cannot be sent.
    """

    def __init__(
        self,
        settings: EmbeddingEndpoint,
        *,
        key: str | None,
        jitter: random.Random,
        prompts: Prompts,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._prompts = prompts
        self._dimension = settings.dimensions
        self._client = Client(settings, key=key, jitter=jitter, clock=clock or Clock())
        self._loop = LoopThread()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and thread."""
        self._loop.run(self._client.close)
        self._loop.close()

    @functools.cached_property
    def served(self) -> Served:
        """What the server says of the model; asked once, of every address.

        Raises:
            ModelError: the endpoint cannot be used.
        """
        return self._loop.run(functools.partial(look_up, self._client, self._settings))

    @property
    def identity(self) -> Mapping[str, str | int | None]:
        """The model's name and what the server lists behind it, dimension, normalisation and prompts.

        Raises:
            ModelError: the endpoint cannot be used.
        """
        return {
            "engine": ENGINE,
            "model": self._settings.model,
            "served": self.served.weights,
            "dimension": self._settings.dimensions,
            "normalisation": "length 1 in float32",
            "query_prompt": self._prompts.query,
            "passage_prompt": self._prompts.passage,
        }

    @property
    def max_tokens(self) -> None:
        """Known to the server only: it refuses what is longer."""
        return

    def count_tokens(self, texts: Sequence[str], *, kind: Kind) -> None:  # noqa: ARG002 (the port's signature)
        """Known to the server only."""
        return

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        """Vectors [N, D], float32, of length 1.

        Raises:
            ModelError: what holds for every request, or the server refuses a text: which, and in its own words.
        """
        if not texts:
            # The dimension may be known to the server only: one vector tells it.
            return np.zeros((0, self._dimension or self.embed(["x"], kind=kind).shape[1]), dtype=np.float32)
        read = [self._prompts.of(kind) + text for text in texts]
        # Texts of like length together: a server pads them to the longest.
        order = sorted(range(len(read)), key=lambda at: -len(read[at]))
        size = self._settings.batch_texts
        batches = [[read[at] for at in order[start : start + size]] for start in range(0, len(order), size)]
        found = np.concatenate(self._loop.run(functools.partial(self._all, batches)))
        vectors = np.empty_like(found)
        vectors[order] = found
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise _of_no_use(self._settings.model, "a vector of length 0, or with a number that is none")
        unit: Vectors = vectors / lengths
        return unit

    async def _all(self, batches: Sequence[Sequence[str]]) -> list[Vectors]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._batch(batch)) for batch in batches]
        except* ModelError as errors:
            # The first stopped the others; what they met meanwhile is the same.
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _batch(self, texts: Sequence[str]) -> Vectors:
        try:
            vectors = await self._ask(texts)
        except RefusedError as error:
            if len(texts) == 1:
                raise _refused(self._settings.model, texts[0], error) from error
            # One text of a batch is enough for a refusal: each by itself tells which.
            vectors = np.concatenate([await self._batch([text]) for text in texts])
        if self._dimension is None:
            self._dimension = vectors.shape[1]
        if vectors.shape[1] != self._dimension:
            raise _of_no_use(self._settings.model, f"{vectors.shape[1]} numbers, where {self._dimension} were expected")
        return vectors

    async def _ask(self, texts: Sequence[str]) -> Vectors:
        body: dict[str, object] = {"model": self._settings.model, "input": list(texts), "encoding_format": "float"}
        if self._settings.dimensions is not None:
            body["dimensions"] = self._settings.dimensions
        n_tokens = sum(len(text) for text in texts) // 4
        read = functools.partial(_read, n_texts=len(texts))
        return await self._client.ask(_PATH, json.dumps(body).encode(), read, n_tokens=n_tokens)


class _Vector(BaseModel):
    index: int
    embedding: list[float]


class _Reply(BaseModel):
    """Of `/embeddings`."""

    data: list[_Vector] | None = None
    error: ErrorBody | str | None = None


def _read(response: httpx.Response, *, n_texts: int) -> Vectors:
    url = str(response.url)
    reply = read_as(_Reply, response.content, charset=response.charset_encoding, url=url)
    if reply.error is not None:
        raise PassingError(f"an error in the reply: {words_of(reply.error)}")
    rows = sorted(reply.data or (), key=lambda row: row.index)
    if [row.index for row in rows] != list(range(n_texts)):
        raise not_openai(url, f"vectors {[row.index for row in rows][:8]} for {n_texts} text(s)")
    if len({len(row.embedding) for row in rows}) > 1 or not rows[0].embedding:
        raise not_openai(url, "vectors of different lengths, or empty ones")
    return np.array([row.embedding for row in rows], dtype=np.float32)


def _refused(model: str, text: str, error: RefusedError) -> ModelError:
    return ModelError(
        "the endpoint does not embed a text",
        seen=f"{len(text)} characters, {text[:_SHOWN]!r}: {error}",
        expected=f"a text that {model} reads",
        hint="lower index.chunk_tokens if it is too long, or name another model; what is embedded is kept",
    )


def _of_no_use(model: str, seen: str) -> ModelError:
    return ModelError(
        "the endpoint's vectors cannot be used",
        seen=f"{model}: {seen}",
        expected="numbers of one length that a cosine can be taken of",
        hint="name an embedding model that the server lists, or correct index.endpoint.dimensions",
    )
