"""Reranking by the language model: how likely the question is after the chunk."""

from __future__ import annotations

from collections.abc import Sequence

from fourfold.errors import ModelError
from fourfold.llm.port import Chat, Message, Refusal
from fourfold.retrieval.modules.ports import Scorer
from fourfold.retrieval.rerank import best_first
from fourfold.types import Chunk

# Of a question; a chunk is bounded by its settings.
_CHARACTERS = 2_000


class LanguageModelReranker:
    """log P(question | chunk) by any model that can score, untrained.

    A model of 135M parameters cannot say which of several passages is the best one, but it can tell how well a question
    follows from a passage. One pass a chunk and nothing written; the chunks of a question are scored together.
    Source: Sachan et al. 2022, Improving Passage Retrieval with Zero-Shot Question Generation, eq. 2 (their sum over
    tokens gives the order of their mean, the question being the same); ours is a chat, and a question is cut at 2,000
    characters.

    Args:
        score: the model.
    """

    def __init__(self, score: Scorer) -> None:
        self._score = score

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> list[int]:
        """Positions of all the chunks, best first; ties stay in the order given.

        Raises:
            ModelError: a chunk is too long for the model.
        """
        asked = question[:_CHARACTERS]
        if not chunks or not asked.strip():
            # Nothing to go by: the order given stands.
            return list(range(len(chunks)))
        scores = []
        for found in self._score([_chat(chunk) for chunk in chunks], [asked]):
            if isinstance(found, Refusal):
                raise ModelError(
                    "the reranker's model cannot read a chunk",
                    seen=found.reason,
                    expected="chunk and question within the model's context",
                    hint="lower index.chunk_tokens, or name another retrieval.reranker",
                )
            scores.append(found.logprobs[0])
        return best_first(scores)


def _chat(chunk: Chunk) -> Chat:
    return (
        Message(
            role="user", content=f"Passage: {chunk.text}\n\nWrite one question that this passage answers, nothing else."
        ),
    )
