from __future__ import annotations

from collections.abc import Sequence

from support.passages import chunk_of
from support.word_vectors import by_words

from fourfold.retrieval.context.narrow import NarrowedSearch
from fourfold.retrieval.context.scope import NamedDocument
from fourfold.retrieval.context.titles import NearestTitles
from fourfold.types import Document, Retrieved

IDS = ("c0", "c1", "c2", "c3", "c4")


class Fixed:
    """Every query finds all chunks in the same order; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __call__(self, queries: Sequence[tuple[str, str]], limit: int) -> list[Retrieved]:
        self.asked.append((len(queries), limit))
        return [
            Retrieved(question_id=name, rank=rank, chunk_id=one, score=1 / rank, dense_rank=rank, bm25_rank=None)
            for name, _ in queries
            for rank, one in enumerate(IDS[:limit], start=1)
        ]


def found(rows: Sequence[Retrieved]) -> list[tuple[str, int, str]]:
    return [(row.question_id, row.rank, row.chunk_id) for row in rows]


def test_a_narrowed_query_gets_the_best_of_its_part_and_the_others_are_searched_as_ever() -> None:
    inner = Fixed()
    search = NarrowedSearch(
        search=inner,
        n_chunks=5,
        narrow=lambda queries: [frozenset({"c1", "c4"}) if "x" in q else None for q in queries],
    )
    rows = search([("a", "x"), ("b", "y"), ("c", "x")], 2)
    assert found(rows) == [
        ("a", 1, "c1"),
        ("a", 2, "c4"),
        ("b", 1, "c0"),
        ("b", 2, "c1"),
        ("c", 1, "c1"),
        ("c", 2, "c4"),
    ]
    assert inner.asked == [(1, 2), (2, 5)]
    # What the searches themselves said of a chunk stays.
    assert rows[1].dense_rank == 5


def test_a_part_smaller_than_the_limit_gives_what_it_has() -> None:
    search = NarrowedSearch(search=Fixed(), n_chunks=5, narrow=lambda queries: [frozenset({"c3"})] * len(queries))
    assert found(search([("a", "x")], 4)) == [("a", 1, "c3")]
    assert found(search([], 4)) == []


def document(name: str, title: str = "") -> Document:
    return Document(doc_id=name, name=name, title=title, status="read", reason=None, n_pages=1, n_chars=9)


DOCUMENTS = [
    document("debian-policy.pdf", "Debian Policy"),
    document("debian-policy-system.pdf", "The Operating System"),
    document("manual.pdf", "Manual"),
    document("XG-200.pdf"),
    document("empty.pdf", "An Empty Book"),
]
CHUNKS = [chunk_of(f"text {at}", doc_id=one.doc_id) for at, one in enumerate(DOCUMENTS[:4])]
NAMED = NamedDocument(DOCUMENTS, CHUNKS)


def test_a_document_is_named_by_its_title_or_its_files_name() -> None:
    assert NAMED.named("What does debian policy say of shells?") == {"debian-policy.pdf"}
    assert NAMED.named("In the operating system, where are logs?") == {"debian-policy-system.pdf"}
    assert NAMED.named("How hot may the XG-200 run?") == {"XG-200.pdf"}
    assert NAMED.named("How hot may the xg 200 run?") == {"XG-200.pdf"}


def test_the_longer_name_is_meant_where_one_holds_the_other() -> None:
    assert NAMED.named("What does Debian Policy System say?") == {"debian-policy-system.pdf"}


def test_a_name_of_one_plain_word_names_nothing() -> None:
    assert NAMED.named("Where does the manual say so?") == set()


def test_the_scope_is_the_chunks_of_the_named_documents_or_everything() -> None:
    one, both, none, empty = NAMED(
        ["debian policy?", "XG-200 against Debian Policy?", "What is a pump?", "What says an empty book?"]
    )
    assert one == frozenset({CHUNKS[0].chunk_id})
    assert both == frozenset({CHUNKS[0].chunk_id, CHUNKS[3].chunk_id})
    # A named document without chunks is no scope: nothing could be found.
    assert (none, empty) == (None, None)


def test_a_query_is_searched_under_the_nearest_titles() -> None:
    embed = by_words("pump", "valve", "noon")
    titles = {"c0": "Manual › Pump", "c1": "Manual › Valve at noon", "c2": "Manual › Pump", "c3": "Manual › Noon"}
    nearest = NearestTitles(titles, embed_titles=embed, embed_queries=embed, n_titles=1)
    assert nearest(["pump?", "a valve at noon", "noon"]) == [
        frozenset({"c0", "c2"}), frozenset({"c1"}), frozenset({"c3"}),
    ]  # fmt: skip
    two = NearestTitles(titles, embed_titles=embed, embed_queries=embed, n_titles=2)
    assert two(["noon"]) == [frozenset({"c1", "c3"})]
    # Equally near ones: those that stand first.
    assert nearest([""]) == [frozenset({"c0", "c2"})]
    assert two([]) == []
    many = NearestTitles(titles, embed_titles=embed, embed_queries=embed, n_titles=9)
    assert many(["noon"]) == [frozenset(titles)]
    none = NearestTitles({}, embed_titles=embed, embed_queries=embed, n_titles=1)
    assert none(["noon"]) == [None]
