"""The same index on a real server: run where QDRANT_URL names one, as `docker compose up qdrant` gives it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fourfold.embed.port import Vectors
from fourfold.errors import StoreError, SystemFaultError
from fourfold.retrieval.dense import DenseIndex, Synced
from fourfold.retrieval.qdrant import Server, opened
from fourfold.types import Chunk

N, D = 300, 32
IDENTITY: dict[str, str | int | None] = {"engine": "drawn"}


def chunk(number: int) -> Chunk:
    return Chunk(
        chunk_id=f"c{number}", doc_id=f"d{number // 10}", position=number, start=0, end=4, page_first=1, page_last=1,
        section=("a",), n_tokens=1, text=str(number),
    )  # fmt: skip


CHUNKS = [chunk(number) for number in range(N)]


def unit(rows: int, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(rows, D))
    found: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


@pytest.fixture
def server() -> Iterator[Server]:
    url = os.environ.get("QDRANT_URL")
    if not url:
        pytest.skip("QDRANT_URL is unset: no Qdrant server to test against")
    made = Server(url=url, key=os.environ.get("QDRANT_API_KEY"), collection=f"fourfold-test-{uuid.uuid4()}")
    yield made
    with opened(made) as client:
        client.delete_collection(made.collection)


def test_a_server_finds_what_the_embedded_mode_finds(server: Server, tmp_path: Path) -> None:
    hits = []
    for place in (server, tmp_path / "q"):
        with DenseIndex(place, CHUNKS, IDENTITY) as index:
            assert index.sync(lambda _: unit(N, 0)) == Synced(n_written=N, n_removed=0)
            hits.append(index.search(unit(20, 1), 10))
    assert [[one for one, _ in own] for own in hits[0]] == [[one for one, _ in own] for own in hits[1]]
    scores = [[[score for _, score in own] for own in found] for found in hits]
    assert np.allclose(scores[0], scores[1], atol=1e-5)


def test_only_what_changed_is_written_and_what_left_is_removed(server: Server) -> None:
    for chunks, done in ((CHUNKS[:200], (200, 0)), (CHUNKS[10:], (100, 10))):
        with DenseIndex(server, chunks, IDENTITY) as index:
            assert index.sync(lambda texts: unit(len(texts), 0)) == Synced(n_written=done[0], n_removed=done[1])
    with opened(server) as client:
        info = client.get_collection(server.collection)
        assert {"doc_id", "section", "part"} <= set(info.payload_schema)
        assert client.count(server.collection, exact=True).count == N - 10


def test_eight_bit_vectors_are_kept_and_found(server: Server) -> None:
    eight_bit = replace(server, quantisation="int8")
    with DenseIndex(eight_bit, CHUNKS, IDENTITY) as index:
        index.sync(lambda _: unit(N, 0))
        hits = index.search(unit(20, 1), 10)
    best = np.argsort(-(unit(20, 1) @ unit(N, 0).T), axis=1)[:, :10]
    shared = [len({f"c{at}" for at in row} & {one for one, _ in own}) for row, own in zip(best, hits, strict=True)]
    assert np.mean(shared) > 9
    with pytest.raises(StoreError, match="made by another embedder"):
        DenseIndex(server, CHUNKS, IDENTITY)


def test_a_server_that_is_not_there_is_an_error_after_its_waits(tmp_path: Path) -> None:
    waits: list[float] = []
    nowhere = Server(url="http://127.0.0.1:9", collection=tmp_path.name, sleep=waits.append)
    with pytest.raises(SystemFaultError, match="does not answer") as error:
        DenseIndex(nowhere, CHUNKS, IDENTITY)
    assert sum(waits) > 55
    assert "http://127.0.0.1:9" in str(error.value.seen)
