from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from support import memory_qdrant

from fourfold.embed.port import Kind, Vectors
from fourfold.errors import StoreError, StudyError
from fourfold.retrieval.dense import DenseIndex
from fourfold.retrieval.fusion import fuse_ranks
from fourfold.retrieval.index import Built, OpenIndex, build_index, require_k, retrieve
from fourfold.retrieval.lexical import LexicalIndex
from fourfold.study import RetrievalSettings
from fourfold.types import Chunk, Retrieved

WORDS = ("pump", "valve", "gauge", "boiler", "turbine", "filter", "reservoir", "operator")


class FakeEmbedder:
    """A text's vector is the sum of its words', each drawn from the word's hash; a word is a token.

    Without `max_tokens` it is as one behind a server, of which neither the limit nor the tokens are known.
    """

    identity: Mapping[str, str | int | None] = {"engine": "fake"}

    def __init__(self, max_tokens: int | None = 200_000) -> None:
        self.max_tokens = max_tokens
        self.kinds: list[Kind] = []

    def count_tokens(self, texts: Sequence[str], *, kind: Kind) -> list[int] | None:
        self.kinds.append(kind)
        return None if self.max_tokens is None else [len(text.split()) for text in texts]

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        self.kinds.append(kind)
        vectors = np.zeros((len(texts), 8))
        for row, text in enumerate(texts):
            for word in ["start", *text.split()]:
                seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
                vectors[row] += np.random.default_rng(seed).normal(size=8)
        unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit


def chunk(position: int, text: str) -> Chunk:
    return Chunk(
        chunk_id=f"{position:024x}", doc_id="d", position=position, start=0, end=len(text), page_first=1, page_last=1,
        section=(), n_tokens=len(text.split()), text=text,
    )  # fmt: skip


CHUNKS = [
    chunk(position, " ".join(WORDS[(position * step) % len(WORDS)] for step in range(1, 3 + position % 3)))
    for position in range(12)
]
QUESTIONS = [("q0", "pump valve"), ("q1", "turbine boiler"), ("q2", "reservoir")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("index")
    assert build_index(made, CHUNKS, FakeEmbedder()) == Built(longest=4, n_written=12, n_removed=0)
    return made


def ask(
    folder: Path, questions: Sequence[tuple[str, str]] = QUESTIONS, **settings: int
) -> tuple[Retrieved, ...]:  # fmt: skip
    return retrieve(folder, CHUNKS, FakeEmbedder(), questions=questions, settings=RetrievalSettings(**settings))


@pytest.mark.parametrize("k", [1, 3, 12])
def test_every_question_gets_k_chunks_in_the_order_of_the_questions(folder: Path, k: int) -> None:
    rows = ask(folder, k=k, candidates=12)
    assert [(row.question_id, row.rank) for row in rows] == [
        (q, rank) for q, _ in QUESTIONS for rank in range(1, k + 1)
    ]
    for question_id, _ in QUESTIONS:
        own = [row for row in rows if row.question_id == question_id]
        assert len({row.chunk_id for row in own}) == k
        assert [row.score for row in own] == sorted((row.score for row in own), reverse=True)


def test_rows_are_the_fusion_of_both_searches_with_their_ranks(folder: Path) -> None:
    texts = [text for _, text in QUESTIONS]
    with DenseIndex(folder / "qdrant", CHUNKS, FakeEmbedder.identity) as dense:
        hits = dense.search(FakeEmbedder().embed(texts, kind="query"), 5)
    by_dense = [[chunk_id for chunk_id, _ in found] for found in hits]
    by_bm25 = [[at for at, _ in found] for found in LexicalIndex(folder / "bm25", CHUNKS).search(texts, 5)]
    expected = []
    for (question_id, _), dense_ids, positions in zip(QUESTIONS, by_dense, by_bm25, strict=True):
        bm25_ids = [CHUNKS[position].chunk_id for position in positions]
        for rank, (chunk_id, score) in enumerate(fuse_ranks([dense_ids, bm25_ids], constant=7)[:4], start=1):
            places = [ids.index(chunk_id) + 1 if chunk_id in ids else None for ids in (dense_ids, bm25_ids)]
            assert score == pytest.approx(sum(1 / (7 + place) for place in places if place is not None))
            expected.append(
                Retrieved(
                    question_id=question_id, rank=rank, chunk_id=chunk_id, score=score, dense_rank=places[0],
                    bm25_rank=places[1],
                )
            )  # fmt: skip
    rows = ask(folder, k=4, candidates=5, fusion="rrf", rrf_constant=7)
    assert rows == tuple(expected)
    assert None in {row.bm25_rank for row in rows} | {row.dense_rank for row in rows}
    assert any(row.dense_rank and row.bm25_rank for row in rows)


def test_the_best_chunk_is_the_one_both_searches_put_first(folder: Path) -> None:
    text = CHUNKS[5].text
    (row,) = ask(folder, [("q", text)], k=1)
    same = [chunk.chunk_id for chunk in CHUNKS if chunk.text == text]
    assert row.chunk_id in same
    assert row.dense_rank == 1


def test_retrieving_again_gives_the_same(folder: Path) -> None:
    assert ask(folder) == ask(folder)


def test_no_questions_retrieve_nothing(folder: Path) -> None:
    assert ask(folder, []) == ()


@pytest.mark.parametrize(
    "question", ["", " ", "?", "the", "pump " * 20_000, "x" * 100_000, "насос 水泵 مضخة", "🚀", "\x00", "a\nb\t\u202e"]
)
def test_odd_questions_get_their_chunks_too(folder: Path, question: str) -> None:
    rows = ask(folder, [("odd", question), ("q1", "turbine boiler")], k=3)
    assert [row.rank for row in rows] == [1, 2, 3, 1, 2, 3]
    assert rows[3:] == ask(folder, [("q1", "turbine boiler")], k=3)


def test_a_question_without_a_known_word_is_answered_by_the_dense_search(folder: Path) -> None:
    rows = ask(folder, [("q", "zeppelin")], k=3)
    assert [(row.dense_rank, row.bm25_rank) for row in rows] == [(1, None), (2, None), (3, None)]


def test_more_chunks_than_there_are_cannot_be_asked_for(folder: Path) -> None:
    assert len(ask(folder, k=12)) == 36
    with pytest.raises(StudyError, match=r"retrieval\.k is larger") as error:
        ask(folder, k=13)
    assert error.value.seen == "k = 13, 12 chunk(s) in the index"
    require_k(12, 12)
    with pytest.raises(StudyError):
        require_k(1, 0)


def test_no_chunks_at_all_cannot_be_asked_for() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        RetrievalSettings(k=0)


def test_k_over_the_candidates_is_filled_all_the_same(folder: Path) -> None:
    # The modules ask for more than the study's k.
    assert [row.rank for row in ask(folder, [("q", "zeppelin")], k=9, candidates=2)] == list(range(1, 10))


def test_chunks_that_the_embedder_would_not_read_to_their_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="longer than the embedder reads") as error:
        build_index(tmp_path, CHUNKS, FakeEmbedder(max_tokens=3))
    assert "4" in str(error.value.seen)
    assert error.value.expected == "at most 3"
    assert list(tmp_path.iterdir()) == []
    assert build_index(tmp_path, CHUNKS, FakeEmbedder(max_tokens=4)).longest == 4


def test_what_only_a_server_can_count_is_left_to_the_server(tmp_path: Path) -> None:
    assert build_index(tmp_path, CHUNKS, FakeEmbedder(max_tokens=None)).longest is None


def test_chunks_are_embedded_as_passages_and_questions_as_queries(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    build_index(tmp_path, CHUNKS, embedder)
    assert set(embedder.kinds) == {"passage"}
    embedder.kinds.clear()
    retrieve(tmp_path, CHUNKS, embedder, questions=QUESTIONS, settings=RetrievalSettings(k=1))
    assert set(embedder.kinds) == {"query"}


def test_one_chunk_is_a_corpus(tmp_path: Path) -> None:
    only = [chunk(0, "pump")]
    build_index(tmp_path, only, FakeEmbedder())
    settings = RetrievalSettings(k=1)
    (row,) = retrieve(tmp_path, only, FakeEmbedder(), questions=[("q", "pump")], settings=settings)
    assert (row.rank, row.chunk_id, row.dense_rank, row.bm25_rank) == (1, only[0].chunk_id, 1, 1)


def copied(chunks: Sequence[Chunk], doc_id: str) -> list[Chunk]:
    return [dataclasses.replace(one, doc_id=doc_id, chunk_id=doc_id + one.chunk_id[1:]) for one in chunks]


class CountingEmbedder(FakeEmbedder):
    """Counts the passages that it embeds."""

    n_passages = 0

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        self.n_passages += len(texts) if kind == "passage" else 0
        return super().embed(texts, kind=kind)


@pytest.mark.parametrize("change", ["added", "changed", "deleted"])
def test_a_corpus_that_changes_is_indexed_anew_where_it_changed(tmp_path: Path, change: str) -> None:
    first = CHUNKS + copied(CHUNKS[:4], "e")
    build_index(tmp_path / "first", first, FakeEmbedder())
    second, n_written, n_removed = {
        "added": (first + copied(CHUNKS[:2], "f"), 2, 0),
        "changed": (CHUNKS + copied(CHUNKS[:3], "f"), 3, 4),
        "deleted": (CHUNKS, 0, 4),
    }[change]
    embedder = CountingEmbedder()
    built = build_index(tmp_path / "second", second, embedder, previous=tmp_path / "first")
    assert (built.n_written, built.n_removed, embedder.n_passages) == (n_written, n_removed, n_written)
    build_index(tmp_path / "alone", second, FakeEmbedder())
    settings = RetrievalSettings(k=5, candidates=20)
    rows = [
        retrieve(tmp_path / name, second, FakeEmbedder(), questions=QUESTIONS, settings=settings)
        for name in ("second", "alone")
    ]
    assert rows[0] == rows[1]
    # An older result may be asked again: the index that it reads is as it was.
    before = retrieve(tmp_path / "first", first, CountingEmbedder(), questions=QUESTIONS, settings=settings)
    assert before == retrieve(tmp_path / "first", first, CountingEmbedder(), questions=QUESTIONS, settings=settings)


def test_an_index_on_a_server_gives_the_rows_of_the_embedded_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = memory_qdrant.use(monkeypatch)
    build_index(tmp_path, CHUNKS, FakeEmbedder(), server=memory_qdrant.address())
    assert not (tmp_path / "qdrant").exists()
    waits: list[float] = []
    server.faults = [memory_qdrant.unreachable()] * 2
    settings = RetrievalSettings(k=4)
    rows = retrieve(
        tmp_path, CHUNKS, FakeEmbedder(), questions=QUESTIONS, settings=settings, server=memory_qdrant.address(waits)
    )
    assert rows == ask(folder, k=4)
    assert waits == [0.5, 1.0]


def test_vectors_that_a_server_lost_are_written_again_and_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = memory_qdrant.use(monkeypatch)
    build_index(tmp_path, CHUNKS, FakeEmbedder(), server=memory_qdrant.address())
    server.engine.delete_collection("study")
    embedder = CountingEmbedder()
    rows = retrieve(
        tmp_path, CHUNKS, embedder, questions=QUESTIONS, settings=RetrievalSettings(k=4),
        server=memory_qdrant.address(),
    )  # fmt: skip
    assert rows == ask(folder, k=4)
    assert embedder.n_passages == 12
    assert "the index was not whole: 12 of 12 vectors written again" in caplog.text


def test_an_index_of_another_embedder_is_refused(folder: Path) -> None:
    other = FakeEmbedder()
    other.identity = {"engine": "another"}
    with pytest.raises(StoreError, match="made by another embedder"):
        OpenIndex(folder, CHUNKS, other)
    # It was closed: the folder is free again.
    OpenIndex(folder, CHUNKS, FakeEmbedder()).close()


def test_weighted_fusion_follows_its_weight(folder: Path) -> None:
    def order(**settings: object) -> list[str]:
        changed = RetrievalSettings(k=5).model_copy(update={"fusion": "weighted", **settings})
        rows = retrieve(folder, CHUNKS, FakeEmbedder(), questions=QUESTIONS[:1], settings=changed)
        assert all(0 <= row.score <= 1 for row in rows)
        return [row.chunk_id for row in rows]

    with DenseIndex(folder / "qdrant", CHUNKS, FakeEmbedder.identity) as dense:
        (hits,) = dense.search(FakeEmbedder().embed([QUESTIONS[0][1]], kind="query"), 5)
    (lexical,) = LexicalIndex(folder / "bm25", CHUNKS).search([QUESTIONS[0][1]], 5)
    assert order(dense_weight=1.0) == [chunk_id for chunk_id, _ in hits]
    # The last of them is scaled to 0, as what BM25 did not find.
    assert order(dense_weight=0.0)[:4] == [CHUNKS[at].chunk_id for at, _ in lexical[:4]]
    assert order(dense_weight=0.0) != order(dense_weight=1.0)


class Backwards:
    """Puts the last first."""

    def rerank(self, question: str, chunks: Sequence[Chunk]) -> list[int]:
        assert question
        return list(range(len(chunks)))[::-1]


def test_a_reranker_orders_the_candidates_before_the_best_k_are_taken(folder: Path) -> None:
    settings = RetrievalSettings(k=2, candidates=5, reranker="embedded")
    plain = settings.model_copy(update={"reranker": None, "k": 5})
    before = retrieve(folder, CHUNKS, FakeEmbedder(), questions=QUESTIONS[:1], settings=plain)
    after = retrieve(
        folder, CHUNKS, FakeEmbedder(), questions=QUESTIONS[:1], settings=settings, reranker=Backwards()
    )  # fmt: skip
    assert [row.chunk_id for row in after] == [before[4].chunk_id, before[3].chunk_id]
    assert [(row.score, row.dense_rank) for row in after] == [(row.score, row.dense_rank) for row in before[:2:-1]]
    assert [row.rank for row in after] == [1, 2]
