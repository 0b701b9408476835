from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from fourfold.embed.port import Vectors
from fourfold.errors import InputError
from fourfold.retrieval.modules.growth import grow
from fourfold.retrieval.modules.knowledge import Knowledge
from fourfold.retrieval.modules.memory import Memory
from fourfold.retrieval.modules.memory_file import MemoryFile
from fourfold.retrieval.modules.pipeline import RetrievalPath
from fourfold.retrieval.modules.reservoir import Reservoir
from fourfold.retrieval.modules.trigger import Trigger
from fourfold.types import Retrieved

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
# Two questions on each of two subjects; a subject's chunk answers both.
QUESTIONS = [("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b")]
HELD = {name: Knowledge(title=name, text=name, chunk_id=name, doc_id="d", source="s") for name in "ab"}


def embed(texts: Sequence[str]) -> Vectors:
    return np.array([[text == "a", text == "b"] for text in texts], dtype=np.float32).reshape(-1, 2)


def search(queries: Sequence[tuple[str, str]], limit: int) -> list[Retrieved]:
    assert limit == 1
    return [
        Retrieved(question_id=own, rank=1, chunk_id=text, score=1, dense_rank=1, bm25_rank=1) for own, text in queries
    ]


def test_a_subject_is_searched_once_in_every_order_and_halves_are_told_apart(tmp_path: Path) -> None:
    with ExitStack() as stack:

        def start(number: int) -> RetrievalPath:
            file = stack.enter_context(MemoryFile.open(tmp_path / f"{number}.db"))
            memory = Memory(
                Reservoir(file), Trigger(tau=0.5, theta=1), embed_queries=embed, embed_titles=embed
            )  # fmt: skip
            return RetrievalPath(search=search, knowledge=HELD, k=1, n_judged=1, rrf_constant=60, memory=memory)

        grown = grow(
            QUESTIONS, [(0, 1, 2, 3), (0, 2, 1, 3), (3, 1, 2, 0)], start=start,
            is_hit=lambda question_id, rows: [row.chunk_id for row in rows] == [question_id[0]], now=NOW,
        )  # fmt: skip
    outside = [[step.n_outside for step in grown.steps if step.order == number] for number in range(3)]
    assert outside == [[1, 0, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]]
    assert grown.outside == (0.5, 0)
    assert grown.hits == (1, 0)
    # Later halves: 1/2, 0, 0.
    assert grown.later_outside == pytest.approx((1 / 6, np.std([0.5, 0, 0], ddof=1)))


@pytest.mark.parametrize("orders", [[(0, 1, 2, 3)] * 2, [(0, 1, 2, 3), (0, 1, 2, 3), (0, 0, 1, 2)], []])
def test_fewer_than_three_orders_or_no_permutations_are_refused(orders: list[tuple[int, ...]]) -> None:
    def start(_: int) -> RetrievalPath:
        raise AssertionError

    with pytest.raises(InputError, match="growth cannot be measured"):
        grow(QUESTIONS, orders, start=start, is_hit=lambda *_: True, now=NOW)
