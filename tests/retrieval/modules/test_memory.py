from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from fourfold.embed.port import Vectors
from fourfold.retrieval.modules.knowledge import Knowledge
from fourfold.retrieval.modules.memory import Memory
from fourfold.retrieval.modules.memory_file import MemoryFile
from fourfold.retrieval.modules.reservoir import Reservoir
from fourfold.retrieval.modules.trigger import Trigger

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def item(chunk_id: str, title: str) -> Knowledge:
    return Knowledge(title=title, text="t", chunk_id=chunk_id, doc_id="d", source="s")


class Embed:
    """Angles on a circle; remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> Vectors:
        self.calls.append(list(texts))
        angles = np.radians([float(text) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32).reshape(-1, 2)


@pytest.fixture
def reservoir(tmp_path: Path) -> Iterator[Reservoir]:
    with MemoryFile.open(tmp_path / "memory.db") as file:
        yield Reservoir(file)


def test_the_most_alike_titles_come_first_each_with_all_it_holds(reservoir: Reservoir) -> None:
    reservoir.add([item("far", "90"), item("b", "10"), item("a", "10"), item("near", "30")], now=NOW)
    embed = Embed()
    memory = Memory(reservoir, Trigger(tau=0.8, theta=2), embed_queries=embed, embed_titles=embed)
    one, other = memory.consult(["25", "200"])
    # cos 5° and 15° are over .8, cos 65° is not.
    assert ([held.chunk_id for held in one.items], one.search) == (["near", "a", "b"], False)
    assert (other.items, other.search) == ((), True)


def test_a_title_is_embedded_once_and_new_ones_join(reservoir: Reservoir) -> None:
    embed = Embed()
    memory = Memory(reservoir, Trigger(tau=0.8, theta=1), embed_queries=Embed(), embed_titles=embed)
    memory.keep([item("a", "10")], now=NOW)
    memory.consult(["10"])
    memory.keep([item("b", "80")], now=NOW)
    (found,) = memory.consult(["80"])
    memory.consult(["80"])
    assert embed.calls == [["10"], ["80"]]
    assert [held.chunk_id for held in found.items] == ["b"]


def test_cosines_are_those_of_every_query_and_title_and_none_for_an_empty_memory(reservoir: Reservoir) -> None:
    embed = Embed()
    memory = Memory(reservoir, Trigger(), embed_queries=embed, embed_titles=embed)
    titles, cosines = memory.cosines(["0", "60"])
    assert (titles, cosines.shape) == ((), (2, 0))
    memory.keep([item("a", "0"), item("b", "60"), item("c", "90")], now=NOW)
    titles, cosines = memory.cosines(["0", "60"])
    assert titles == ("0", "60", "90")
    assert cosines == pytest.approx(np.array([[1, 0.5, 0], [0.5, 1, np.sqrt(3) / 2]]), abs=1e-6)


def test_what_is_read_counts_as_used_and_stays(tmp_path: Path) -> None:
    with MemoryFile.open(tmp_path / "memory.db") as file:
        embed = Embed()
        memory = Memory(
            Reservoir(file, capacity=2), Trigger(tau=0.9, theta=1), embed_queries=embed, embed_titles=embed
        )  # fmt: skip
        memory.keep([item("old", "10")], now=NOW)
        memory.keep([item("new", "90")], now=NOW)
        memory.consult(["12"])
        memory.keep([item("newest", "180")], now=NOW)
        assert memory.reservoir.titles() == ("10", "180")
