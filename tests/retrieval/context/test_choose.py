from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.passages import chunk_of, count_words
from support.word_embedder import WordEmbedder

from fourfold.errors import StudyError
from fourfold.retrieval.chunk import CountTokens
from fourfold.retrieval.context.choose import make_assembly, narrow_search
from fourfold.study import RetrievalSettings
from fourfold.types import Document, Retrieved

CHUNKS = [chunk_of("The pump runs.", doc_id="a"), chunk_of("The valve closes at noon.", doc_id="b")]
DOCUMENTS = [
    Document(doc_id=name, name=f"plant-{name}.pdf", title="", status="read", reason=None, n_pages=1, n_chars=9)
    for name in "ab"
]
TITLES = {CHUNKS[0].chunk_id: "pump", CHUNKS[1].chunk_id: "valve"}


def search(queries: Sequence[tuple[str, str]], limit: int) -> list[Retrieved]:
    return [
        Retrieved(question_id=name, rank=rank, chunk_id=chunk.chunk_id, score=1.0, dense_rank=rank, bm25_rank=None)
        for name, _ in queries
        for rank, chunk in enumerate(CHUNKS[:limit], start=1)
    ]


def narrowed(question: str, **settings: object) -> list[str]:
    found = narrow_search(
        search, RetrievalSettings.model_validate(settings), documents=DOCUMENTS, titles=TITLES, chunks=CHUNKS,
        embedder=WordEmbedder(),
    )  # fmt: skip
    return [row.chunk_id for row in found([("q", question)], 1)]


def test_without_settings_the_search_and_the_chunks_are_as_they_were() -> None:
    settings = RetrievalSettings()
    same = narrow_search(search, settings, documents=DOCUMENTS, titles=TITLES, chunks=CHUNKS, embedder=WordEmbedder())
    assert same is search

    def never() -> CountTokens:
        raise AssertionError("nothing is to be counted")

    assembly = make_assembly(settings, CHUNKS, WordEmbedder(), never)
    assert (assembly.section, assembly.focus, assembly.budget, assembly.order) == (None, None, None, "best_first")


def test_scope_and_titles_narrow_the_search() -> None:
    assert narrowed("valve") == [CHUNKS[0].chunk_id]
    assert narrowed("valve", titles=1) == [CHUNKS[1].chunk_id]
    assert narrowed("What does plant b do?", scope="named_document") == [CHUNKS[1].chunk_id]


def test_every_setting_switches_its_step_on() -> None:
    settings = RetrievalSettings(section_tokens=7, focus_sentences=2, context_tokens=9, order="best_last")
    assembly = make_assembly(settings, CHUNKS, WordEmbedder(), lambda: count_words)
    assert assembly.section is not None
    assert assembly.focus is not None
    assert assembly.budget is not None
    assert (assembly.section.max_tokens, assembly.focus.n_sentences, assembly.budget.max_tokens) == (7, 2, 9)
    assert assembly.order == "best_last"


def test_a_budget_below_the_longest_chunk_is_refused_before_any_question() -> None:
    with pytest.raises(StudyError, match="no room for a whole passage"):
        make_assembly(RetrievalSettings(context_tokens=4), CHUNKS, WordEmbedder(), lambda: count_words)
