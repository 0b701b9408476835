from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from fourfold.embed import cache
from fourfold.embed.cache import CachedEmbedder
from fourfold.embed.port import Kind, Vectors
from fourfold.embed.sentence import SentenceEmbedder
from fourfold.errors import StoreError
from fourfold.llm.weights import find_embedder
from fourfold.store import Store

TESTS = Path(__file__).parents[1]


class FakeEmbedder:
    """A vector depends on text, kind, model and, in its last place, on the texts that it was computed with."""

    def __init__(self, model: str = "a", dimension: int = 4) -> None:
        self.model = model
        self.dimension = dimension
        self.calls: list[list[str]] = []
        self.dies_at = 0

    @property
    def identity(self) -> Mapping[str, str | int | None]:
        return {"model": self.model, "dimension": None}

    @property
    def max_tokens(self) -> int:
        return 7

    def count_tokens(self, texts: Sequence[str], *, kind: Kind) -> list[int]:
        return [len(kind) + len(text) for text in texts]

    def embed(self, texts: Sequence[str], *, kind: Kind) -> Vectors:
        self.calls.append(list(texts))
        if len(self.calls) == self.dies_at:
            raise KeyboardInterrupt
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for place, said in enumerate((f"{self.model} {kind} {text}", " ".join(texts))):
                vectors[row, place - 1] = int.from_bytes(hashlib.sha256(said.encode()).digest()[:4]) / 2**32
        return vectors


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def test_a_text_is_embedded_once_per_embedder_and_kind(store: Store) -> None:
    fake, other = FakeEmbedder(), FakeEmbedder(model="b")
    embedder = CachedEmbedder(fake, store)
    first = embedder.embed(["x", "y", "x"], kind="query")
    assert (embedder.n_hits, embedder.n_computed, fake.calls) == (0, 2, [["x", "y"]])
    np.testing.assert_array_equal(first[0], first[2])
    again = embedder.embed(["y", "x", "new"], kind="query")
    assert (embedder.n_hits, embedder.n_computed, fake.calls[1:]) == (2, 3, [["new"]])
    np.testing.assert_array_equal(again[:2], first[[1, 0]])
    assert not np.array_equal(embedder.embed(["x"], kind="passage"), first[:1])
    assert not np.array_equal(CachedEmbedder(other, store).embed(["x"], kind="query"), first[:1])
    assert other.calls == [["x"]]


def test_stored_vectors_are_those_computed_to_the_bit(tmp_path: Path) -> None:
    real = SentenceEmbedder(find_embedder("embedded"), device="cpu")
    texts = ["The pump runs at 40 litres per minute.", "", "日本語 🚀", "word " * 300]
    with Store.open(tmp_path) as store:
        computed = CachedEmbedder(real, store).embed(texts, kind="passage")
    # In another order, as sentence-transformers saw them: longest first.
    np.testing.assert_array_equal(computed, real.embed(texts, kind="passage"))
    with Store.open(tmp_path) as store:
        cached = CachedEmbedder(SentenceEmbedder(real.weights, device="cpu"), store)
        found = cached.embed(texts, kind="passage")
        assert cached.n_computed == 0
        assert cached._embedder._model is None  # type: ignore[attr-defined]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, computed)


def test_what_stands_with_the_vectors_says_how_they_were_made(store: Store) -> None:
    CachedEmbedder(FakeEmbedder(), store).embed(["x"], kind="query")
    rows = store.connection.execute("SELECT identity, dimension FROM embedders").fetchall()
    assert rows == [('{"dimension": null, "model": "a"}', 4)]
    ((blob,),) = store.connection.execute("SELECT vector FROM vectors").fetchall()
    assert len(blob) == 4 * 4


def test_texts_that_only_look_alike_are_apart(store: Store) -> None:
    embedder = CachedEmbedder(FakeEmbedder(), store)
    alike = ["a", "a ", "A", "á", "a\u0301", "a\x00", ""]
    vectors = embedder.embed(alike, kind="query")
    assert len({vector.tobytes() for vector in vectors}) == len(alike)
    np.testing.assert_array_equal(CachedEmbedder(FakeEmbedder(), store).embed(alike, kind="query"), vectors)


def test_no_texts_ask_for_the_shape_alone(store: Store) -> None:
    embedder = CachedEmbedder(FakeEmbedder(), store)
    assert embedder.embed([], kind="query").shape == (0, 4)
    assert (embedder.n_hits, embedder.n_computed) == (0, 0)


def test_everything_else_is_the_embedders(store: Store) -> None:
    fake = FakeEmbedder()
    embedder = CachedEmbedder(fake, store)
    assert (embedder.identity, embedder.max_tokens) == (fake.identity, 7)
    assert embedder.count_tokens(["ab"], kind="query") == [7]


def test_vectors_of_another_length_under_the_same_identity_are_refused(store: Store) -> None:
    CachedEmbedder(FakeEmbedder(), store).embed(["x"], kind="query")
    with pytest.raises(StoreError, match="changed their length") as error:
        CachedEmbedder(FakeEmbedder(dimension=5), store).embed(["y"], kind="query")
    assert "5 numbers" in str(error.value.seen)
    assert store.connection.execute("SELECT COUNT(*) FROM vectors").fetchone() == (1,)


TEXTS = [f"{'long ' * (number % 5)}text {number}" for number in range(23)]


@pytest.mark.parametrize("dies_at", [1, 2, 4, 6])
def test_a_killed_run_goes_on_with_the_vectors_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    monkeypatch.setattr(cache, "_BLOCK_TEXTS", 4)
    with Store.open(tmp_path / "whole") as store:
        expected = CachedEmbedder(FakeEmbedder(), store).embed(TEXTS, kind="passage")
    dying = FakeEmbedder()
    dying.dies_at = dies_at
    with Store.open(tmp_path / "killed") as store, pytest.raises(KeyboardInterrupt):
        CachedEmbedder(dying, store).embed(TEXTS, kind="passage")
    with Store.open(tmp_path / "killed") as store:
        embedder = CachedEmbedder(FakeEmbedder(), store)
        np.testing.assert_array_equal(embedder.embed(TEXTS, kind="passage"), expected)
        assert embedder.n_hits == 4 * (dies_at - 1)
        assert embedder.n_computed == len(TEXTS) - embedder.n_hits


def test_the_vector_of_the_first_time_counts_whatever_it_was_computed_with(store: Store) -> None:
    embedder = CachedEmbedder(FakeEmbedder(), store)
    alone = embedder.embed(["x"], kind="query")
    assert not np.array_equal(alone, FakeEmbedder().embed(["x", "y"], kind="query")[:1])
    np.testing.assert_array_equal(embedder.embed(["x", "y"], kind="query")[:1], alone)


def test_progress_is_told_where_something_is_computed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_BLOCK_TEXTS", 10)
    told: list[tuple[int, int]] = []
    embedder = CachedEmbedder(FakeEmbedder(), store, progress=lambda done, of: told.append((done, of)))
    embedder.embed(TEXTS, kind="passage")
    assert told == [(10, 23), (20, 23), (23, 23)]
    embedder.embed(TEXTS, kind="passage")
    assert len(told) == 3


def test_two_processes_fill_one_store_with_one_vector_each_text(tmp_path: Path) -> None:
    code = f"""
import sys; sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from tests.fourfold.test_embed_cache import FakeEmbedder
from fourfold.embed import cache
from fourfold.store import Store
cache._BLOCK_TEXTS = 3
# Each in blocks of its own: the last place of a vector would tell them apart.
texts = [f"text {{number}}" for number in range(int(sys.argv[1]), int(sys.argv[2]))]
with Store.open(Path({str(tmp_path)!r})) as store:
    vectors = cache.CachedEmbedder(FakeEmbedder(), store).embed(texts, kind="query")
print(*(vector.tobytes().hex() for vector in vectors[[texts.index(f"text {{n}}") for n in range(50, 150)]]))
"""
    running = [
        subprocess.Popen([sys.executable, "-c", code, *ends], stdout=subprocess.PIPE, text=True, cwd=TESTS.parent)
        for ends in (("0", "150"), ("50", "199"))
    ]
    told = [process.communicate(timeout=120)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert len(told[0]) == 100
    assert told[0] == told[1]
