"""An embedder without a model: a text's vector is the sum of its words', each drawn from the word's hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from fourfold.embed.port import Kind, Vectors

_DIMENSION = 16


class WordEmbedder:
    """Texts with words in common are near; a word is a token."""

    identity: Mapping[str, str | int | None] = {"engine": "words", "dimension": _DIMENSION}
    max_tokens = 100_000

    def count_tokens(self, texts: Sequence[str], *, kind: Kind) -> list[int]:  # noqa: ARG002
        return [len(text.split()) for text in texts]

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:  # noqa: ARG002
        vectors = np.zeros((len(texts), _DIMENSION))
        for row, text in enumerate(texts):
            for word in ["start", *text.lower().split()]:
                seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
                vectors[row] += np.random.default_rng(seed).normal(size=_DIMENSION)
        unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit
