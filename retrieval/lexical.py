"""Lexical search: BM25 by bm25s, saved with a digest, so that a damaged file is seen and built again."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fourfold.digest import digest_of, digest_of_folder
from fourfold.errors import DocumentError
from fourfold.types import Chunk

_log = logging.getLogger(__name__)
_STOPWORDS = "en"


class LexicalIndex:
    """A saved BM25 index (Lucene's variant, k1 1.5, b .75: bm25s' defaults), English stop words left out.

    A document's weight for a word depends on every other document, so a changed corpus is indexed anew: 0.5 s for
    10,000 chunks.

    Args:
        folder: what `build` wrote. It is built again, with a warning, where its files are not those that were written.
        chunks: the chunks it was built from, in that order.
    """

    def __init__(self, folder: Path, chunks: Sequence[Chunk]) -> None:
        import bm25s

        if not _is_whole(folder, chunks):
            _log.warning("the BM25 index in %s is damaged or of other chunks: built again", folder)
            shutil.rmtree(folder, ignore_errors=True)
            self.build(folder, chunks)
        self._index: Any = bm25s.BM25.load(folder, load_corpus=False)
        self._n = len(chunks)

    @staticmethod
    def build(folder: Path, chunks: Sequence[Chunk]) -> None:
        """Index chunks and save them under `folder`.

        Raises:
            DocumentError: not one chunk has a word.
        """
        import bm25s

        tokens = bm25s.tokenize([chunk.text for chunk in chunks], stopwords=_STOPWORDS, show_progress=False)
        if not any(tokens.ids):
            raise DocumentError(
                "the documents have no words to search for",
                seen=f"{len(chunks)} chunk(s) of figures, single letters and stop words",
                expected="at least one word of two letters",
                hint="look at what 'fourfold ingest' read, or add documents",
            )
        index = bm25s.BM25()
        index.index(tokens, show_progress=False)
        index.save(folder, show_progress=False)
        # Written last: files without it are not whole.
        _seal(folder).write_text(_digest(folder, chunks), encoding="ascii")

    def search(self, queries: Sequence[str], limit: int) -> list[list[tuple[int, float]]]:
        """Positions and scores of chunks with a score above 0, best first, for each query."""
        import bm25s

        if not queries:
            return []
        tokens = bm25s.tokenize(list(queries), stopwords=_STOPWORDS, show_progress=False)
        documents, scores = self._index.retrieve(tokens, k=min(limit, self._n), show_progress=False)
        return [
            [(int(position), float(score)) for position, score in zip(row, row_scores, strict=True) if score > 0]
            for row, row_scores in zip(documents, scores, strict=True)
        ]


def _seal(folder: Path) -> Path:
    return folder.with_name(folder.name + ".sha256")


def _digest(folder: Path, chunks: Sequence[Chunk]) -> str:
    return digest_of([digest_of_folder(folder), [chunk.chunk_id for chunk in chunks]])


def _is_whole(folder: Path, chunks: Sequence[Chunk]) -> bool:
    seal = _seal(folder)
    return seal.is_file() and seal.read_bytes() == _digest(folder, chunks).encode()
