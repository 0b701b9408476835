"""The embedding port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors of length 1, so that a dot product is their cosine."""

    @property
    def identity(self) -> str:
        """Digest of the weights and of how they are run."""

    @property
    def max_tokens(self) -> int:
        """Tokens of its own tokenizer that it reads; the rest of a longer text is not seen."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, its own special tokens included."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors [N, D], float32, normalised to length 1. N = 0 is allowed."""
