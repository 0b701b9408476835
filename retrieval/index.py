"""The index of a study: chunks, their vectors in Qdrant, and BM25 beside them, in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from fourfold.embed.port import Embedder
from fourfold.errors import StudyError
from fourfold.retrieval.dense import DenseIndex
from fourfold.retrieval.fusion import fuse_ranks
from fourfold.retrieval.lexical import LexicalIndex
from fourfold.study import RetrievalSettings
from fourfold.types import Chunk, Retrieved

_DENSE = "qdrant"
_LEXICAL = "bm25"


def build_index(folder: Path, chunks: Sequence[Chunk], embedder: Embedder) -> int | None:
    """Write both indexes under an empty folder.

    Returns:
        The longest chunk, in the embedder's tokens; None where only a server can count them.

    Raises:
        StudyError: chunks so long that the embedder would not see their end.
    """
    texts = [chunk.text for chunk in chunks]
    counts, limit = embedder.count_tokens(texts, kind="passage"), embedder.max_tokens
    longest = None if counts is None else max(counts)
    if longest is not None and limit is not None and longest > limit:
        raise StudyError(
            "chunks are longer than the embedder reads",
            seen=f"a chunk of {longest} of the embedder's tokens",
            expected=f"at most {limit}",
            hint="lower index.chunk_tokens, or name an embedder with a longer input in index.embedder",
        )
    vectors = embedder.embed(texts, kind="passage")
    with DenseIndex(folder / _DENSE) as dense:
        dense.add(chunks, vectors)
    LexicalIndex.build(folder / _LEXICAL, chunks)
    return longest


def retrieve(
    folder: Path,
    chunks: Sequence[Chunk],
    embedder: Embedder,
    *,
    questions: Sequence[tuple[str, str]],
    settings: RetrievalSettings,
) -> tuple[Retrieved, ...]:
    """The k best chunks of each question: dense and BM25, fused by reciprocal rank.

    Args:
        folder: what `build_index` wrote.
        chunks: the chunks it was built from, in that order.
        embedder: the one it was built with.
        questions: (question id, question) pairs.
        settings: k, candidates, constant.

    Raises:
        StudyError: k is larger than the number of chunks.
    """
    require_k(settings.k, len(chunks))
    with OpenIndex(folder, chunks, embedder) as index:
        return index.search(questions, settings)


class OpenIndex:
    """An index held open for one search after another, as a server holds it. Close it: its folder is locked while open.

    Args:
        folder: what `build_index` wrote.
        chunks: the chunks it was built from, in that order.
        embedder: the one it was built with.
    """

    def __init__(self, folder: Path, chunks: Sequence[Chunk], embedder: Embedder) -> None:
        self._ids = [chunk.chunk_id for chunk in chunks]
        self._embedder = embedder
        self._lexical = LexicalIndex(folder / _LEXICAL)
        self._dense = DenseIndex(folder / _DENSE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the folder."""
        self._dense.close()

    def search(self, questions: Sequence[tuple[str, str]], settings: RetrievalSettings) -> tuple[Retrieved, ...]:
        """The k best chunks of each (question id, question); see `retrieve`."""
        limit = min(settings.candidates, len(self._ids))
        texts = [text for _, text in questions]
        by_dense = self._dense.search(self._embedder.embed(texts, kind="query"), limit)
        by_bm25 = [[self._ids[position] for position in found] for found in self._lexical.search(texts, limit)]
        rows: list[Retrieved] = []
        for (question_id, _), dense_ids, bm25_ids in zip(questions, by_dense, by_bm25, strict=True):
            fused = fuse_ranks([dense_ids, bm25_ids], constant=settings.rrf_constant)
            for rank, (chunk_id, score) in enumerate(fused[: settings.k], start=1):
                rows.append(
                    Retrieved(
                        question_id=question_id,
                        rank=rank,
                        chunk_id=chunk_id,
                        score=score,
                        dense_rank=_rank(chunk_id, dense_ids),
                        bm25_rank=_rank(chunk_id, bm25_ids),
                    )
                )
        return tuple(rows)


def require_k(k: int, n_chunks: int) -> None:
    """Refuse a k that the corpus cannot fill.

    Raises:
        StudyError: k is larger than the number of chunks.
    """
    if k > n_chunks:
        raise StudyError(
            "retrieval.k is larger than the corpus",
            seen=f"k = {k}, {n_chunks} chunk(s) in the index",
            expected=f"k of at most {n_chunks}",
            hint="lower retrieval.k or index.chunk_tokens, or add documents",
        )


def _rank(chunk_id: str, ranking: Sequence[str]) -> int | None:
    return ranking.index(chunk_id) + 1 if chunk_id in ranking else None
