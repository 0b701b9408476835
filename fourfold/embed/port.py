"""The embedding port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Kind = Literal["query", "passage"]


class Embedder(Protocol):
    """Turns texts into vectors of length 1, so that a dot product is their cosine.

    Many models were trained with other words before a question than before a passage ("query: ", "passage: "), so
    every call says which of the two its texts are.
    """

    @property
    def identity(self) -> Mapping[str, str | int | None]:
        """What a vector depends on beside its text and kind: weights, dtype, dimension, normalisation, prompts.

        Known without loading the model. A dimension that only loading would tell is None.
        """

    @property
    def max_tokens(self) -> int | None:
        """Tokens of its own tokenizer that it reads; the rest of a longer text is not seen.

        None where only a server knows.
        """

    def count_tokens(self, texts: Sequence[str], *, kind: Kind) -> list[int] | None:
        """Tokens of each text, its prompt and special tokens included; None where only a server knows."""

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        """Vectors [N, D], float32, normalised to length 1. N = 0 is allowed.

        A vector may depend, to rounding, on the texts that it was computed with.
        """
