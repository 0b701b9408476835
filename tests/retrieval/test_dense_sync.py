from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from support import memory_qdrant
from support.memory_qdrant import MemoryServer, address

from fourfold.embed.port import Vectors
from fourfold.errors import StoreError, SystemFaultError
from fourfold.retrieval.dense import DenseIndex, Synced
from fourfold.retrieval.points import points_of
from fourfold.retrieval.qdrant import Server
from fourfold.types import Chunk

D = 4
IDENTITY: dict[str, str | int | None] = {"weights": "abc", "normalisation": "length 1", "dimension": None}
Place = Path | Server


def chunk(doc_id: str, position: int, text: str = "") -> Chunk:
    text = text or f"{doc_id} {position}"
    return Chunk(
        chunk_id=f"{doc_id}-{text}", doc_id=doc_id, position=position, start=0, end=4, page_first=1, page_last=1,
        section=("a", "b"), n_tokens=1, text=text,
    )  # fmt: skip


def document(doc_id: str, n: int = 3) -> list[Chunk]:
    return [chunk(doc_id, position) for position in range(n)]


class Embedding:
    """Draws a text's vector from its letters; keeps the texts that it was asked for."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        rows = [np.random.default_rng(sum(map(ord, text))).normal(size=D) for text in texts]
        unit: Vectors = np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32)
        return unit


def sync(place: Place, chunks: Sequence[Chunk]) -> tuple[Synced, list[str]]:
    embed = Embedding()
    with DenseIndex(place, chunks, IDENTITY) as index:
        return index.sync(embed), embed.texts


def found(place: Place, chunks: Sequence[Chunk]) -> set[str]:
    """Everything that a search over these chunks can find."""
    with DenseIndex(place, chunks, IDENTITY) as index:
        (hits,) = index.search(Embedding()(["query"]), 1000)
    return {chunk_id for chunk_id, _ in hits}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MemoryServer:
    return memory_qdrant.use(monkeypatch)


@pytest.fixture(params=["folder", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return tmp_path / "q"
    request.getfixturevalue("server")
    return address()


A, B = document("a"), document("b")


def test_only_new_chunks_are_embedded_and_written(place: Place) -> None:
    assert sync(place, A) == (Synced(n_written=3, n_removed=0), ["a 0", "a 1", "a 2"])
    assert sync(place, A) == (Synced(n_written=0, n_removed=0), [])
    assert sync(place, A + B) == (Synced(n_written=3, n_removed=0), ["b 0", "b 1", "b 2"])
    assert found(place, A + B) == {one.chunk_id for one in A + B}


def test_a_document_that_left_takes_its_chunks_with_it(place: Place) -> None:
    sync(place, A + B)
    assert sync(place, B) == (Synced(n_written=0, n_removed=3), [])
    assert found(place, B) == {one.chunk_id for one in B}
    with DenseIndex(place, A + B, IDENTITY) as index:
        assert not index.is_whole
    with DenseIndex(place, B, IDENTITY) as index:
        assert index.is_whole


def test_a_folder_with_more_than_its_chunks_is_not_whole_and_a_server_may_hold_more(
    tmp_path: Path, server: MemoryServer
) -> None:
    for place, whole in ((tmp_path / "q", False), (address(), True)):
        sync(place, A + B)
        with DenseIndex(place, B, IDENTITY) as index:
            assert index.is_whole is whole
    assert len(server.engine.get_collections().collections) == 1


def test_a_changed_document_is_another_and_replaces_the_old_one(place: Place) -> None:
    sync(place, A + B)
    changed = document("b2", 2)
    assert sync(place, A + changed) == (Synced(n_written=2, n_removed=3), ["b2 0", "b2 1"])
    assert found(place, A + changed) == {one.chunk_id for one in A + changed}


def test_two_cuts_of_one_document_stand_side_by_side_on_a_server(server: MemoryServer) -> None:
    coarse = [chunk("a", 0, "a 0 a 1"), chunk("a", 1, "a 2")]
    sync(address(), A)
    assert sync(address(), coarse)[0] == Synced(n_written=2, n_removed=0)
    # The chunk that both have is stored for each: neither search can find the other's.
    assert found(address(), A) == {one.chunk_id for one in A}
    assert found(address(), coarse) == {one.chunk_id for one in coarse}
    assert server.exact == {True}


def test_a_servers_collection_has_indexes_over_what_is_filtered_by(server: MemoryServer) -> None:
    sync(address(), A)
    assert {"doc_id", "section", "part"} <= set(server.indexed)


def test_eight_bit_vectors_are_searched_through_the_graph(server: MemoryServer) -> None:
    eight_bit = Server(url="http://127.0.0.1:6333", collection="c", quantisation="int8")
    sync(eight_bit, A)
    found(eight_bit, A)
    assert server.exact == {None}


@pytest.mark.parametrize(("name", "other"), [("weights", "abd"), ("normalisation", "none"), ("dimension", 4)])
def test_an_index_of_another_embedder_is_refused(place: Place, name: str, other: str | int) -> None:
    sync(place, A)
    with pytest.raises(StoreError, match="made by another embedder") as error:
        DenseIndex(place, A, {**IDENTITY, name: other})
    assert f"embedder.{name} = {IDENTITY[name]!r}" in str(error.value.seen)
    assert error.value.expected == f"embedder.{name} = {other!r}"


def test_vectors_of_another_length_are_refused(place: Place) -> None:
    sync(place, A)
    with DenseIndex(place, A + B, IDENTITY) as index:
        with pytest.raises(StoreError, match="made by another embedder") as error:
            index.sync(lambda texts: np.ones((len(texts), D + 1), dtype=np.float32))
        assert "dimension = 4" in str(error.value.seen)
        with pytest.raises(StoreError):
            index.search(np.ones((1, D + 1), dtype=np.float32), 1)
    assert found(place, A) == {one.chunk_id for one in A}


def test_a_collection_that_is_not_ours_is_refused(server: MemoryServer) -> None:
    from qdrant_client import models

    params = models.VectorParams(size=D, distance=models.Distance.DOT)
    server.engine.create_collection("study", vectors_config={"dense": params})
    with pytest.raises(StoreError, match="made by another embedder"):
        DenseIndex(address(), A, IDENTITY)


def test_vectors_that_do_not_arrive_are_missed(server: MemoryServer) -> None:
    def lose(call: str) -> None:
        if call == "upsert":
            server.engine.delete("study", [points_of(A)[1].point_id])

    server.after = lose
    with pytest.raises(SystemFaultError, match="vectors were lost") as error:
        sync(address(), A)
    assert str(error.value.seen).startswith("2 of 3 in 'study' at")


def test_vectors_that_go_while_the_index_is_open_are_missed(server: MemoryServer) -> None:
    sync(address(), A)
    with DenseIndex(address(), A, IDENTITY) as index:
        server.engine.delete("study", [points_of(A)[0].point_id])
        with pytest.raises(StoreError, match="are gone"):
            index.search(Embedding()(["query"]), 3)


def test_as_many_chunks_as_vectors(tmp_path: Path) -> None:
    with DenseIndex(tmp_path / "q", A, IDENTITY) as index, pytest.raises(ValueError, match="must be equal"):
        index.sync(lambda _: np.ones((2, D), dtype=np.float32))


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    place = tmp_path / "q"
    sync(place, A)
    with DenseIndex(place, A + document("b", 400), IDENTITY) as index:
        storage = index._client._client.collections["chunks"].storage.storage
        (pages,) = storage.execute("PRAGMA page_count").fetchone()
        storage.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreError, match="no space left"):
            index.sync(Embedding())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    place = tmp_path / "q"
    sync(place, A)
    with DenseIndex(place, A + B, IDENTITY) as index:
        index._client._client.collections["chunks"].storage.storage.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError, match="cannot be read or written") as error:
            index.sync(Embedding())
    assert "readonly" in str(error.value.seen)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "settings": lambda folder: (folder / "meta.json").write_text("{", encoding="utf-8"),
    "settings of nothing": lambda folder: (folder / "meta.json").write_text("{}", encoding="utf-8"),
    "vectors": lambda folder: (folder / "collection/chunks/storage.sqlite").write_bytes(b"x" * 8192),
    "a point": lambda folder: _overwrite(folder / "collection/chunks/storage.sqlite"),
}


def _overwrite(file: Path) -> None:
    db = sqlite3.connect(file)
    db.execute("UPDATE points SET point = x'00'")
    db.commit()
    db.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_named(tmp_path: Path, damage: str) -> None:
    sync(tmp_path / "q", A)
    DAMAGE[damage](tmp_path / "q")
    with pytest.raises(StoreError, match="damaged") as error:
        DenseIndex(tmp_path / "q", A, IDENTITY)
    assert "delete" in error.value.hint


def test_a_point_keeps_its_id_and_other_documents_do_not_move_it() -> None:
    alone = {point.chunk.chunk_id: point for point in points_of(A)}
    beside = {point.chunk.chunk_id: point for point in points_of(B + A)}
    assert {one: beside[one] for one in alone} == alone
    assert len({point.point_id for point in beside.values()}) == 6
    assert alone[A[0].chunk_id].payload["section"] == "a › b"
