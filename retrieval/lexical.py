"""Lexical search: BM25 by bm25s."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fourfold.errors import DocumentError
from fourfold.types import Chunk

_STOPWORDS = "en"


class LexicalIndex:
    """A saved BM25 index (Lucene's variant, k1 1.5, b .75: bm25s' defaults), English stop words left out."""

    def __init__(self, folder: Path) -> None:
        import bm25s

        self._index = bm25s.BM25.load(folder, load_corpus=False)

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
        index.save(folder)

    def search(self, queries: Sequence[str], limit: int) -> list[list[int]]:
        """Positions of chunks with a score above 0, best first, for each query."""
        import bm25s

        if not queries:
            return []
        tokens = bm25s.tokenize(list(queries), stopwords=_STOPWORDS, show_progress=False)
        documents, scores = self._index.retrieve(tokens, k=limit, show_progress=False)
        return [
            [int(position) for position, score in zip(row, row_scores, strict=True) if score > 0]
            for row, row_scores in zip(documents, scores, strict=True)
        ]
