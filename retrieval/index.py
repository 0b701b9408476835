"""The index of a study: chunks, their vectors in Qdrant, and BM25 beside them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from fourfold.embed.port import Embedder
from fourfold.errors import StudyError
from fourfold.retrieval.dense import DenseIndex
from fourfold.retrieval.fusion import fuse_ranks
from fourfold.retrieval.lexical import LexicalIndex
from fourfold.retrieval.qdrant import Server
from fourfold.retrieval.rerank import Reranker
from fourfold.retrieval.weighted import fuse_scores
from fourfold.study import RetrievalSettings
from fourfold.types import Chunk, Retrieved

_log = logging.getLogger(__name__)
_DENSE = "qdrant"
_LEXICAL = "bm25"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What building an index did.

    `longest` is the longest chunk in the embedder's tokens, None where only a server can count them; `n_written` and
    `n_removed` count vectors written anew and taken out, the others were there.
    """

    longest: int | None
    n_written: int
    n_removed: int


def build_index(
    folder: Path,
    chunks: Sequence[Chunk],
    embedder: Embedder,
    *,
    server: Server | None = None,
    previous: Path | None = None,
) -> Built:
    """Write both indexes under an empty folder; only chunks that are new are embedded and written.

    Args:
        folder: of this index alone: what an index is never changes, so that results that read it stay true.
        chunks: of the whole corpus.
        embedder: of chunks and questions.
        server: keeps the vectors; None: the folder does.
        previous: an index by the same embedder whose vectors are copied first; None: there is none.

    Raises:
        StudyError: chunks so long that the embedder would not see their end.
        StoreError: the index cannot be written, or belongs to another embedder.
        SystemFaultError: the server does not answer, or lost vectors.
    """
    longest = _require_readable(chunks, embedder)
    if server is None and previous is not None and (previous / _DENSE).is_dir():
        shutil.copytree(previous / _DENSE, folder / _DENSE, ignore=shutil.ignore_patterns(_LOCK))
    with DenseIndex(server or folder / _DENSE, chunks, embedder.identity) as dense:
        done = dense.sync(partial(embedder.embed, kind="passage"))
    LexicalIndex.build(folder / _LEXICAL, chunks)
    return Built(longest=longest, n_written=done.n_written, n_removed=done.n_removed)


def retrieve(  # noqa: PLR0913 (an index, what is asked, and what app wires)
    folder: Path,
    chunks: Sequence[Chunk],
    embedder: Embedder,
    *,
    questions: Sequence[tuple[str, str]],
    settings: RetrievalSettings,
    server: Server | None = None,
    reranker: Reranker | None = None,
) -> tuple[Retrieved, ...]:
    """The k best chunks of each question: dense and BM25, fused, and reordered where the settings name a reranker.

    Args:
        folder: what `build_index` wrote.
        chunks: the chunks it was built from, in that order.
        embedder: the one it was built with.
        questions: (question id, question) pairs.
        settings: k, candidates, fusion, reranker.
        server: where its vectors are; None: in the folder.
        reranker: the one that the settings name.

    Raises:
        StudyError: k is larger than the number of chunks.
        StoreError, SystemFaultError: see `OpenIndex`.
    """
    require_k(settings.k, len(chunks))
    with OpenIndex(folder, chunks, embedder, server=server, reranker=reranker) as index:
        return index.search(questions, settings)


class OpenIndex:
    """An index held open for one search after another, as a server holds it. Close it: its folder is locked while open.

    Vectors that are not there (a server that lost its disk, or serves another corpus of the study by now) are written
    again, with a warning.

    Args:
        folder: what `build_index` wrote.
        chunks: the chunks it was built from, in that order.
        embedder: the one it was built with.
        server: where its vectors are; None: in the folder.
        reranker: for settings that name one.

    Raises:
        StoreError: another process has the folder open, it is damaged, or another embedder made it.
        SystemFaultError: the server does not answer.
    """

    def __init__(
        self,
        folder: Path,
        chunks: Sequence[Chunk],
        embedder: Embedder,
        *,
        server: Server | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self._chunks = {chunk.chunk_id: chunk for chunk in chunks}
        self._ids = [chunk.chunk_id for chunk in chunks]
        self._embedder = embedder
        self._reranker = reranker
        self._lexical = LexicalIndex(folder / _LEXICAL, chunks)
        self._dense = DenseIndex(server or folder / _DENSE, chunks, embedder.identity)
        try:
            self._restore()
        except BaseException:
            self._dense.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the folder."""
        self._dense.close()

    def search(self, questions: Sequence[tuple[str, str]], settings: RetrievalSettings) -> tuple[Retrieved, ...]:
        """The k best chunks of each (question id, question); see `retrieve`."""
        # At least k: one search alone has to fill them where the other finds nothing.
        limit = min(max(settings.candidates, settings.k), len(self._ids))
        texts = [text for _, text in questions]
        by_dense = self._dense.search(self._embedder.embed(texts, kind="query"), limit)
        by_bm25 = [
            [(self._ids[position], score) for position, score in found] for found in self._lexical.search(texts, limit)
        ]
        rows: list[Retrieved] = []
        for (question_id, text), dense, bm25 in zip(questions, by_dense, by_bm25, strict=True):
            fused = self._rerank(text, _fuse(dense, bm25, settings), settings)
            dense_ranks = {chunk_id: rank for rank, (chunk_id, _) in enumerate(dense, start=1)}
            bm25_ranks = {chunk_id: rank for rank, (chunk_id, _) in enumerate(bm25, start=1)}
            rows += [
                Retrieved(
                    question_id=question_id,
                    rank=rank,
                    chunk_id=chunk_id,
                    score=score,
                    dense_rank=dense_ranks.get(chunk_id),
                    bm25_rank=bm25_ranks.get(chunk_id),
                )
                for rank, (chunk_id, score) in enumerate(fused[: settings.k], start=1)
            ]
        return tuple(rows)

    def _restore(self) -> None:
        if not self._dense.is_whole:
            done = self._dense.sync(partial(self._embedder.embed, kind="passage"))
            _log.warning("the index was not whole: %d of %d vectors written again", done.n_written, len(self._ids))

    def _rerank(
        self, question: str, fused: list[tuple[str, float]], settings: RetrievalSettings
    ) -> list[tuple[str, float]]:
        """The first `candidates` in the reranker's order; scores stay those of the fusion."""
        if settings.reranker is None:
            return fused
        assert self._reranker is not None, "app wires the reranker that the settings name"
        first = fused[: max(settings.candidates, settings.k)]
        order = self._reranker.rerank(question, [self._chunks[chunk_id] for chunk_id, _ in first])
        assert sorted(order) == list(range(len(first)))
        return [first[at] for at in order]


def _fuse(
    dense: Sequence[tuple[str, float]], bm25: Sequence[tuple[str, float]], settings: RetrievalSettings
) -> list[tuple[str, float]]:
    if settings.fusion == "weighted":
        return fuse_scores([dense, bm25], weights=(settings.dense_weight, 1 - settings.dense_weight))
    return fuse_ranks([[item for item, _ in dense], [item for item, _ in bm25]], constant=settings.rrf_constant)


def _require_readable(chunks: Sequence[Chunk], embedder: Embedder) -> int | None:
    counts, limit = embedder.count_tokens([chunk.text for chunk in chunks], kind="passage"), embedder.max_tokens
    longest = None if counts is None else max(counts)
    if longest is not None and limit is not None and longest > limit:
        raise StudyError(
            "chunks are longer than the embedder reads",
            seen=f"a chunk of {longest} of the embedder's tokens",
            expected=f"at most {limit}",
            hint="lower index.chunk_tokens, or name an embedder with a longer input in index.embedder",
        )
    return longest


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
