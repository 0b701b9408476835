from __future__ import annotations

import gc
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fourfold.embed.port import Vectors
from fourfold.errors import StoreError
from fourfold.retrieval.dense import DenseIndex, Synced
from fourfold.types import Chunk

N, D = 200, 16
IDENTITY: dict[str, str | int | None] = {"engine": "drawn", "dimension": D, "served": None}


def chunk(number: int) -> Chunk:
    return Chunk(
        chunk_id=f"{number:08x}" * 3, doc_id="d", position=number, start=0, end=4, page_first=1, page_last=1,
        section=("a", "ü"), n_tokens=1, text="text",
    )  # fmt: skip


CHUNKS = [chunk(number) for number in range(N)]


def unit(rows: int, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(rows, D))
    found: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


@pytest.fixture(scope="module")
def index_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dense") / "qdrant"
    with DenseIndex(folder, CHUNKS, IDENTITY) as index:
        assert index.sync(lambda _: unit(N, 0)) == Synced(n_written=N, n_removed=0)
    return folder


def open_index(folder: Path) -> DenseIndex:
    return DenseIndex(folder, CHUNKS, IDENTITY)


def ids(found: Sequence[Sequence[tuple[str, float]]]) -> list[list[str]]:
    return [[chunk_id for chunk_id, _ in own] for own in found]


def test_the_order_is_that_of_the_exact_cosines(index_folder: Path) -> None:
    queries = unit(20, 1)
    with open_index(index_folder) as index:
        found = index.search(queries, 10)
    best = np.argsort(-(queries.astype(np.float64) @ unit(N, 0).astype(np.float64).T), axis=1)[:, :10]
    assert ids(found) == [[CHUNKS[position].chunk_id for position in row] for row in best]
    cosines = np.take_along_axis(queries @ unit(N, 0).T, best, axis=1)
    assert np.allclose([[score for _, score in own] for own in found], cosines, atol=1e-6)
    assert len({tuple(row) for row in ids(found)}) == 20


def test_a_query_of_any_length_finds_the_same(index_folder: Path) -> None:
    with open_index(index_folder) as index:
        assert ids(index.search(unit(3, 1) * 7, 5)) == ids(index.search(unit(3, 1), 5))


def test_a_limit_over_the_number_of_chunks_gives_them_all(index_folder: Path) -> None:
    with open_index(index_folder) as index:
        (found,) = index.search(unit(1, 1), N + 5)
    assert sorted(chunk_id for chunk_id, _ in found) == sorted(chunk.chunk_id for chunk in CHUNKS)


def test_no_queries_find_nothing(index_folder: Path) -> None:
    with open_index(index_folder) as index:
        assert index.search(np.zeros((0, D), dtype=np.float32), 5) == []


def test_an_open_index_is_locked_and_a_closed_one_is_not(index_folder: Path) -> None:
    with open_index(index_folder), warnings.catch_warnings():
        # The client that was refused does not close its lock file; it goes with the error that holds it.
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(StoreError, match="cannot be opened") as error:
            open_index(index_folder)
        assert str(index_folder) in error.value.expected
        del error
        gc.collect()
    with open_index(index_folder) as index:
        assert index.search(unit(1, 1), 1)


def test_a_failure_inside_releases_the_folder(index_folder: Path) -> None:
    # Held here, so that it is closed and not merely collected.
    held = open_index(index_folder)
    with pytest.raises(KeyError), held:
        raise KeyError
    open_index(index_folder).close()
    del held


def test_nothing_is_written_to_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with DenseIndex(tmp_path / "q", CHUNKS[:3], IDENTITY) as index:
        index.sync(lambda _: unit(3, 0))
        index.search(unit(1, 0), 2)
    assert capfd.readouterr() == ("", "")
