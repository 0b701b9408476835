"""Which steps a study asks for, between its question and the passages of its prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from fourfold.embed.port import Embedder
from fourfold.retrieval.chunk import CountTokens
from fourfold.retrieval.context.assembly import Assembly, Budget
from fourfold.retrieval.context.budget import require_room
from fourfold.retrieval.context.focus import Focus
from fourfold.retrieval.context.narrow import NarrowedSearch
from fourfold.retrieval.context.scope import NamedDocument
from fourfold.retrieval.context.section import SectionExpansion, by_section, joined_texts
from fourfold.retrieval.context.titles import NearestTitles
from fourfold.retrieval.modules.ports import Search
from fourfold.study import RetrievalSettings
from fourfold.types import Chunk, Document


def make_assembly(
    settings: RetrievalSettings,
    chunks: Sequence[Chunk],
    embedder: Embedder,
    count_tokens: Callable[[], CountTokens],
) -> Assembly:
    """What makes passages of chunks.

    Args:
        settings: of the study.
        chunks: of the corpus.
        embedder: of questions and sentences.
        count_tokens: gives the counter of the student's tokens; called where a step counts.

    Raises:
        StudyError: `context_tokens` leaves no room for the longest chunk.
    """
    section = focus = budget = None
    if settings.section_tokens is not None:
        section = SectionExpansion(
            siblings=by_section(chunks),
            texts=joined_texts(chunks),
            count_tokens=count_tokens(),
            max_tokens=settings.section_tokens,
        )
    if settings.focus_sentences is not None:
        focus = Focus(
            embed_queries=partial(embedder.embed, kind="query"),
            embed_sentences=partial(embedder.embed, kind="passage"),
            n_sentences=settings.focus_sentences,
        )
    if settings.context_tokens is not None:
        require_room(chunks, max_tokens=settings.context_tokens)
        budget = Budget(count_tokens=count_tokens(), max_tokens=settings.context_tokens)
    return Assembly(
        chunks={chunk.chunk_id: chunk for chunk in chunks},
        section=section,
        focus=focus,
        budget=budget,
        order=settings.order,
    )


def narrow_search(
    search: Search,
    settings: RetrievalSettings,
    *,
    documents: Sequence[Document],
    titles: Mapping[str, str],
    chunks: Sequence[Chunk],
    embedder: Embedder,
) -> Search:
    """The search within what `scope` or `titles` chooses; the search itself where neither is set.

    Args:
        search: of the whole corpus.
        settings: of the study.
        documents: of the corpus.
        titles: by chunk id, document › section.
        chunks: of the corpus.
        embedder: of questions and titles.
    """
    if settings.scope == "named_document":
        return NarrowedSearch(search=search, narrow=NamedDocument(documents, chunks), n_chunks=len(chunks))
    if settings.titles is not None:
        nearest = NearestTitles(
            titles,
            embed_titles=partial(embedder.embed, kind="passage"),
            embed_queries=partial(embedder.embed, kind="query"),
            n_titles=settings.titles,
        )
        return NarrowedSearch(search=search, narrow=nearest, n_chunks=len(chunks))
    return search
