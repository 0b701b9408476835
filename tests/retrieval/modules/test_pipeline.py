"""The order of the parts, on a scripted index: what each question's rows and trace are, worked out by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fourfold.embed.port import Vectors
from fourfold.llm.port import Chat, Refusal
from fourfold.retrieval.modules.knowledge import Knowledge
from fourfold.retrieval.modules.knowledge_filter import Judgement, Pair
from fourfold.retrieval.modules.memory import Memory
from fourfold.retrieval.modules.memory_file import MemoryFile
from fourfold.retrieval.modules.pipeline import RetrievalPath
from fourfold.retrieval.modules.ports import Reply
from fourfold.retrieval.modules.reservoir import Reservoir
from fourfold.retrieval.modules.rewriter import Rewriter
from fourfold.retrieval.modules.trigger import Trigger
from fourfold.types import Retrieved

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
HELD = {
    name: Knowledge(title=f"title {name}", text=f"text {name}", chunk_id=name, doc_id="d", source="s")
    for name in "abcdef"
}  # fmt: skip
QUESTIONS = [("q1", "one"), ("q2", "two")]


class Index:
    """Gives what was scripted for a query; remembers its calls."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.answers = answers
        self.calls: list[tuple[list[str], int]] = []

    def __call__(self, queries: Sequence[tuple[str, str]], limit: int) -> list[Retrieved]:
        self.calls.append(([text for _, text in queries], limit))
        return [
            Retrieved(question_id=own, rank=rank, chunk_id=chunk_id, score=1 / rank, dense_rank=rank, bm25_rank=None)
            for own, text in queries
            for rank, chunk_id in enumerate(self.answers[text][:limit], start=1)
        ]


class Judge:
    """Drops the chunks named, fails on 'f'; remembers its calls."""

    def __init__(self, drops: str) -> None:
        self.drops = drops
        self.calls: list[list[Pair]] = []

    def judge(self, pairs: Sequence[Pair]) -> list[Judgement]:
        self.calls.append(list(pairs))
        return [
            Judgement(entailed=None, failure="lost", n_tokens=2)
            if pair.premise == "text f"
            else Judgement(entailed=pair.premise[-1] not in self.drops, score=0.5, n_tokens=2)
            for pair in pairs
        ]


def path_of(index: Index, *, k: int = 2, n_judged: int = 3) -> RetrievalPath:
    return RetrievalPath(search=index, knowledge=HELD, k=k, n_judged=n_judged, rrf_constant=60)


def rewriter(*replies: Reply | Refusal) -> Rewriter:
    def write(chats: Sequence[Chat], *, max_tokens: int) -> Sequence[Reply | Refusal]:
        assert (len(chats), max_tokens) == (len(replies), 16)
        return replies

    return Rewriter(write, n_queries=2, max_tokens=16)


def shown(rows: Sequence[Retrieved], question_id: str) -> str:
    own = [row for row in rows if row.question_id == question_id]
    assert [row.rank for row in own] == list(range(1, len(own) + 1))
    return "".join(row.chunk_id for row in own)


def embed(texts: Sequence[str]) -> Vectors:
    """One axis for each last letter: a query is alike to the titles that end as it does."""
    vectors = np.zeros((len(texts), 26), dtype=np.float32)
    for row, text in enumerate(texts):
        vectors[row, (ord(text[-1]) - ord("a")) % 26] = 1
    return vectors


@pytest.fixture
def reservoir(tmp_path: Path) -> Iterator[Reservoir]:
    with MemoryFile.open(tmp_path / "memory.db") as file:
        yield Reservoir(file)


def memory(reservoir: Reservoir, trigger: Trigger) -> Memory:
    return Memory(reservoir, trigger, embed_queries=embed, embed_titles=embed)


def test_without_modules_the_rows_are_those_of_the_search() -> None:
    index = Index({"one": "abc", "two": "bc"})
    found = path_of(index).find(QUESTIONS)
    assert found.retrieved == tuple(Index(index.answers)(QUESTIONS, 2))
    assert found.traces == ()


def test_the_queries_of_all_questions_are_searched_together_and_fused() -> None:
    index = Index({"One": "ab", "x": "cb", "two": "d"})
    path = replace(
        path_of(index),
        rewriter=rewriter(Reply(text="Question: One\nQuery: x", n_tokens=7), Reply(text="-", n_tokens=5)),
    )
    found = path.find(QUESTIONS)
    assert index.calls == [(["One", "x", "two"], 3)]
    # b: 1/62 + 1/62 beats a and c with 1/61 each; a stands in the first ranking.
    assert shown(found.retrieved, "q1") == "ba"
    assert shown(found.retrieved, "q2") == "d"
    one, two = found.traces
    assert (one.question, one.queries, one.searched, one.n_outside) == ("One", ("One", "x"), ("One", "x"), 4)
    assert (one.failures, one.n_tokens) == ((), 7)
    assert (two.question, two.queries, two.n_tokens) == ("two", ("two",), 5)
    assert two.failures == ("rewriter: the reply holds no question with queries: '-'",)


def test_the_filter_reads_the_rewritten_question_and_all_passages_in_one_call() -> None:
    index, judge = Index({"One": "abc", "two": "fd"}), Judge(drops="ad")
    path = replace(
        path_of(index), judge=judge,
        rewriter=rewriter(Reply(text="Question: One\nQuery: One", n_tokens=1), Reply(text="", n_tokens=1)),
    )  # fmt: skip
    found = path.find(QUESTIONS)
    (pairs,) = judge.calls
    assert [(pair.hypothesis, pair.premise) for pair in pairs] == [
        ("One", "text a"), ("One", "text b"), ("One", "text c"), ("two", "text f"), ("two", "text d"),
    ]  # fmt: skip
    assert (shown(found.retrieved, "q1"), shown(found.retrieved, "q2")) == ("bc", "f")
    assert [trace.dropped for trace in found.traces] == [("a",), ("d",)]
    assert [trace.n_tokens for trace in found.traces] == [1 + 6, 1 + 4]


def test_a_passage_that_could_not_be_judged_stays_and_the_failure_is_told() -> None:
    found = replace(path_of(Index({"one": "f"})), judge=Judge(drops="")).find(QUESTIONS[:1])
    assert shown(found.retrieved, "q1") == "f"
    assert found.traces[0].failures == ("filter: f: lost",)


def test_a_filter_that_drops_everything_leaves_no_rows() -> None:
    found = replace(path_of(Index({"one": "abc", "two": "d"})), judge=Judge(drops="abc")).find(QUESTIONS)
    assert (shown(found.retrieved, "q1"), shown(found.retrieved, "q2")) == ("", "d")
    assert found.traces[0].dropped == ("a", "b", "c")


def test_only_triggered_queries_are_searched_and_memory_joins_in(reservoir: Reservoir) -> None:
    reservoir.add([HELD["e"]], now=NOW)
    index = Index({"two": "ab"})
    path = replace(path_of(index), memory=memory(reservoir, Trigger(tau=0.5, theta=1)))
    found = path.find(QUESTIONS)
    # 'one' ends as 'title e' does: one alike title, theta 1, no search.
    assert index.calls == [(["two"], 3)]
    assert (shown(found.retrieved, "q1"), shown(found.retrieved, "q2")) == ("e", "ab")
    assert [(trace.searched, trace.n_outside, trace.remembered) for trace in found.traces] == [
        ((), 0, ("e",)), (("two",), 2, ()),
    ]  # fmt: skip
    (row,) = [row for row in found.retrieved if row.question_id == "q1"]
    assert (row.dense_rank, row.bm25_rank) == (None, None)


def test_what_memory_holds_joins_what_a_search_finds(reservoir: Reservoir) -> None:
    reservoir.add([HELD["e"]], now=NOW)
    index = Index({"one": "ae"})
    found = replace(path_of(index), memory=memory(reservoir, Trigger(tau=0.5, theta=2))).find(QUESTIONS[:1])
    # e: 1/62 from the search and 1/61 from memory.
    assert shown(found.retrieved, "q1") == "ea"
    assert found.traces[0].searched == ("one",)


def test_nothing_is_searched_where_memory_answers_every_query(reservoir: Reservoir) -> None:
    reservoir.add([HELD["e"]], now=NOW)
    index = Index({})
    replace(path_of(index), memory=memory(reservoir, Trigger(tau=0.5, theta=1))).find(QUESTIONS[:1])
    assert index.calls == []


def test_what_is_shown_is_written_back_only_while_filling(reservoir: Reservoir) -> None:
    path = replace(
        path_of(Index({"one": "abc", "two": "bd"})), memory=memory(reservoir, Trigger()), judge=Judge(drops="a")
    )
    path.find(QUESTIONS)
    assert reservoir.items() == ()
    path.find(QUESTIONS, fill_at=NOW)
    assert [held.chunk_id for held in reservoir.items()] == ["b", "c", "d"]


def test_an_empty_memory_searches_and_an_always_trigger_searches_beside_it(reservoir: Reservoir) -> None:
    index = Index({"one": "a"})
    always = replace(path_of(index), memory=memory(reservoir, Trigger(mode="always", tau=0.5, theta=1)))
    assert shown(always.find(QUESTIONS[:1]).retrieved, "q1") == "a"
    reservoir.add([HELD["e"]], now=NOW)
    assert shown(always.find(QUESTIONS[:1]).retrieved, "q1") == "ae"
    passing = replace(always, memory=memory(reservoir, Trigger(mode="pass", tau=0.5, theta=1)))
    assert shown(passing.find(QUESTIONS[:1]).retrieved, "q1") == "a"


def test_no_question_asks_nobody(reservoir: Reservoir) -> None:
    index, judge = Index({}), Judge(drops="")
    path = replace(path_of(index), judge=judge, memory=memory(reservoir, Trigger()), rewriter=rewriter())
    found = path.find([])
    assert (found.retrieved, found.traces, index.calls) == ((), (), [])
