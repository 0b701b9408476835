"""Reranking by a cross-encoder: question and chunk read together, one number for a pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fourfold.errors import ModelError
from fourfold.llm.quiet import quiet_transformers
from fourfold.retrieval.rerank import best_first
from fourfold.types import Chunk

_BATCH = 32


class CrossEncoderReranker:
    """Any sentence-transformers CrossEncoder with one output; loads at first use.

    What is longer than the model reads is cut at its end, the chunk's before the question's.

    Args:
        folder: where the model is.
        device: 'cpu', 'cuda' or 'cuda:N'.
    """

    def __init__(self, folder: Path, *, device: str) -> None:
        self._folder = folder
        self._device = device
        self._model: Any = None

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> list[int]:
        """Positions of all the chunks, best first; ties stay in the order given.

        Raises:
            ModelError: the model has more than one output.
        """
        import torch

        if not chunks:
            return []
        # The number itself: a sigmoid would round sure ones to the same 1.
        scores = self._load().predict(
            [(question, chunk.text) for chunk in chunks],
            batch_size=_BATCH,
            show_progress_bar=False,
            activation_fn=torch.nn.Identity(),
        )
        return best_first([float(score) for score in scores])

    def _load(self) -> Any:
        if self._model is None:
            with quiet_transformers():
                from sentence_transformers import CrossEncoder

                model = CrossEncoder(str(self._folder), device=self._device, local_files_only=True)
            if model.num_labels != 1:
                raise ModelError(
                    "the cross-encoder cannot rerank",
                    seen=f"{self._folder}: {model.num_labels} outputs",
                    expected="one output, trained on whether a passage answers a question",
                    hint="name a reranking model in retrieval.reranker, or 'train'",
                )
            self._model = model
        return self._model
