"""Index scope: a question that names its document is searched in that document.

Only what the question says counts. The document that its gold stands in is known to the test, and to nobody who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fourfold.text import contains_run, squad_tokens
from fourfold.types import Chunk, Document


class NamedDocument:
    """Chooses the chunks of the documents that a query names.

    A document is named where its title or its file's name stands in the query, word for word after SQuAD's
    normalisation, '-', '_' and '.' of a file's name read as spaces. A name of one word counts only if it holds a digit
    ("XG-200" names a manual, "Manual" does not); one that is part of a longer name in the query does not.

    Args:
        documents: of the corpus.
        chunks: of the corpus.
    """

    def __init__(self, documents: Iterable[Document], chunks: Iterable[Chunk]) -> None:
        self._names = {document.doc_id: _names(document) for document in documents}
        own: dict[str, set[str]] = {}
        for chunk in chunks:
            own.setdefault(chunk.doc_id, set()).add(chunk.chunk_id)
        self._chunks: Mapping[str, frozenset[str]] = {doc_id: frozenset(ids) for doc_id, ids in own.items()}

    def __call__(self, queries: Sequence[str]) -> list[frozenset[str] | None]:
        """For each query the ids of chunks; None where it names no document with any."""
        found = [self.named(query) & self._chunks.keys() for query in queries]
        return [frozenset().union(*(self._chunks[doc_id] for doc_id in named)) if named else None for named in found]

    def named(self, query: str) -> set[str]:
        """The ids of the documents that a query names."""
        tokens = squad_tokens(query)
        said = {(doc_id, name) for doc_id, names in self._names.items() for name in names if contains_run(tokens, name)}
        longer = {name for _, name in said}
        return {
            doc_id
            for doc_id, name in said
            if not any(len(other) > len(name) and contains_run(other, name) for other in longer)
        }


def _names(document: Document) -> set[tuple[str, ...]]:
    stem = Path(document.name).stem
    for mark in "-_.":
        stem = stem.replace(mark, " ")
    names = {tuple(squad_tokens(name)) for name in (document.title, stem, Path(document.name).stem)}
    return {name for name in names if len(name) > 1 or any(letter.isdigit() for word in name for letter in word)}
