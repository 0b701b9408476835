from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from fourfold.llm.generate import GenerationRun, generate, plan_batches
from fourfold.llm.port import Adapter, Chat, Completion, Message, Prompt, RawCompletion, Refusal, Sampling, Scored
from fourfold.store import Store

CONTEXT = 100
SHORT = Sampling(max_tokens=10)


class FakeEngine:
    """Counts letters as tokens, answers with their number and the batch's, and notes its batches."""

    def __init__(self, weights: str = "w", *, fail_at: int | None = None) -> None:
        self.weights = weights
        self.fail_at = fail_at
        self.batches: list[tuple[str, ...]] = []

    @property
    def identity(self) -> Mapping[str, str]:
        return {"engine": "fake", "weights": self.weights}

    @property
    def context_tokens(self) -> int:
        return CONTEXT

    def prepare(self, chats: Sequence[Chat]) -> list[Prompt]:
        return [Prompt(chat=chat, token_ids=tuple(ord(letter) for letter in chat[-1].content)) for chat in chats]

    def score(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[str]], adapter: Adapter | None
    ) -> list[tuple[Scored, ...]]:
        raise AssertionError(f"nothing here is scored: {prompts} {continuations} {adapter}")

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, adapter: Adapter | None) -> list[RawCompletion]:
        if len(self.batches) == self.fail_at:
            raise ConnectionError("the machine is gone")
        ids = [prompt.token_ids or () for prompt in prompts]
        self.batches.append(tuple("".join(map(chr, some)) for some in ids))
        # As in bf16, an answer depends on the others of its batch.
        mark = f"{sum(map(len, ids))}{adapter.digest if adapter else ''}/{sampling.max_tokens}"
        return [
            RawCompletion(
                text=f"{chr(some[0])}{len(some)} of {mark}",
                token_ids=(1, 2),
                logprobs=(-1.0, -2.0),
                n_prompt_tokens=len(some),
                n_answer_tokens=2,
                finish_reason="stop",
            )
            for some in ids
        ]


def chats(*texts: str) -> list[Chat]:
    return [(Message(role="user", content=text),) for text in texts]


class Asked:
    """One store; each call is a run of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.progress: list[tuple[int, int]] = []
        self.run = self.new_run(60)

    def new_run(self, batch_tokens: int) -> GenerationRun:
        self.run = GenerationRun(batch_tokens, lambda done, total: self.progress.append((done, total)), {"v": 1})
        return self.run

    def __call__(
        self,
        engine: FakeEngine,
        *texts: str,
        sampling: Sampling = SHORT,
        adapter: Adapter | None = None,
        batch_tokens: int = 60,
    ) -> list[Completion | Refusal]:
        self.progress.clear()
        run = self.new_run(batch_tokens)
        return generate(self.store, engine, chats(*texts), sampling=sampling, adapter=adapter, run=run)


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asked]:
    with Store.open(tmp_path) as store:
        yield Asked(store)


def texts_of(found: Sequence[Completion | Refusal]) -> list[str]:
    return [item.text if isinstance(item, Completion) else item.reason for item in found]


# Lengths 20, 10, 10, 5, 2: with an answer of 10 and 60 tokens a batch two go with the longest, three after it.
TEXTS = ("bbbbbbbbbb", "a" * 20, "ee", "ddddd", "cccccccccc")


def test_answers_come_in_the_order_of_the_questions(ask: Asked) -> None:
    found = ask(FakeEngine(), *TEXTS)
    assert [text[:3].strip() for text in texts_of(found)] == ["b10", "a20", "e2", "d5", "c10"]


def test_a_completion_tells_what_was_stored(ask: Asked) -> None:
    (found,) = ask(FakeEngine(), "abc")
    assert isinstance(found, Completion)
    assert (found.token_ids, found.n_prompt_tokens, found.mean_logprob, found.finish_reason) == (
        (1, 2),
        3,
        -1.5,
        "stop",
    )
    (key, provenance) = ask.store.connection.execute("SELECT key, provenance FROM generations").fetchone()
    assert (key, provenance) == (found.key, '{"v": 1}')


def test_a_question_asked_twice_is_answered_once(ask: Asked) -> None:
    engine = FakeEngine()
    found = ask(engine, "aa", "b", "aa")
    assert found[0] == found[2]
    assert engine.batches == [("aa", "b")]


def test_what_is_stored_is_not_asked_again(ask: Asked) -> None:
    first = ask(FakeEngine(), "aa", "bb")
    assert (ask.run.n_cached, ask.run.n_generated) == (0, 2)
    engine = FakeEngine()
    second = ask(engine, "bb", "c", "aa")
    assert engine.batches == [("c",)]
    assert second[::2] == first[::-1]
    assert (ask.run.n_cached, ask.run.n_generated) == (2, 1)
    assert ask.run.n_cached_tokens == sum(done.n_prompt_tokens + done.n_answer_tokens for done in first)


def test_nothing_asked_is_nothing_done(ask: Asked) -> None:
    engine = FakeEngine()
    assert ask(engine) == []
    assert engine.batches == []


def test_batches_hold_the_longest_first_within_the_budget(ask: Asked) -> None:
    engine = FakeEngine()
    ask(engine, *TEXTS)
    assert [sorted(map(len, batch), reverse=True) for batch in engine.batches] == [[20, 10], [10, 5, 2]]
    assert ask.progress == [(0, 5), (2, 5), (5, 5)]


@pytest.mark.parametrize(
    ("lengths", "batch_tokens", "expected"),
    [
        ({}, 10, []),
        ({"a": 50}, 10, [["a"]]),
        ({"a": 50, "b": 1, "c": 2}, 14, [["a"], ["c", "b"]]),
        ({"b": 5, "a": 5, "c": 5}, 20, [["a", "b"], ["c"]]),
        ({"b": 5, "a": 5, "c": 5}, 19, [["a"], ["b"], ["c"]]),
        ({"a": 1, "b": 5, "c": 5}, 30, [["b", "c", "a"]]),
    ],
)
def test_plans_worked_by_hand(lengths: dict[str, int], batch_tokens: int, expected: list[list[str]]) -> None:
    assert plan_batches(lengths, answer_tokens=5, batch_tokens=batch_tokens) == expected


def test_a_plan_depends_on_the_questions_and_not_on_their_order() -> None:
    lengths = {f"k{i}": 1 + (7 * i) % 13 for i in range(40)}
    turned = dict(reversed(lengths.items()))
    plan = plan_batches(lengths, answer_tokens=3, batch_tokens=50)
    assert plan == plan_batches(turned, answer_tokens=3, batch_tokens=50)
    assert sorted(key for batch in plan for key in batch) == sorted(lengths)
    assert all(len(batch) * (max(lengths[key] for key in batch) + 3) <= 50 for batch in plan)


def test_an_interrupted_run_goes_on_with_the_batches_that_are_left(ask: Asked, tmp_path: Path) -> None:
    with Store.open(tmp_path / "other") as store:
        whole = FakeEngine()
        expected = texts_of(Asked(store)(whole, *TEXTS))
    with pytest.raises(ConnectionError):
        ask(FakeEngine(fail_at=1), *TEXTS)
    n_stored = ask.store.connection.execute("SELECT count(*) FROM generations").fetchone()
    assert n_stored == (len(whole.batches[0]),)
    engine = FakeEngine()
    assert texts_of(ask(engine, *TEXTS)) == expected
    assert engine.batches == whole.batches[1:]
    assert (ask.run.n_cached, ask.run.n_generated) == (2, 3)
    assert ask.progress == [(2, 5), (5, 5)]


def test_an_interrupted_first_batch_leaves_the_plan(ask: Asked) -> None:
    with pytest.raises(ConnectionError):
        ask(FakeEngine(fail_at=0), *TEXTS)
    ask(FakeEngine(), "ddddd")
    engine = FakeEngine()
    ask(engine, *TEXTS)
    assert [sorted(map(len, batch), reverse=True) for batch in engine.batches] == [[20, 10], [10, 5, 2]]


def test_what_others_stored_meanwhile_changes_no_batch_and_is_not_overwritten(ask: Asked) -> None:
    whole = FakeEngine()
    with pytest.raises(ConnectionError):
        ask(FakeEngine(fail_at=1), *TEXTS)
    (meanwhile,) = ask(FakeEngine(), "ddddd")
    found = ask(whole, *TEXTS)
    assert [sorted(map(len, batch), reverse=True) for batch in whole.batches] == [[10, 5, 2]]
    assert found[3] == meanwhile
    # Its neighbours were answered beside it all the same.
    assert texts_of(found)[2] == "e2 of 17/10"


def test_a_batch_that_others_answered_wholly_is_not_paid_for_again(ask: Asked) -> None:
    with pytest.raises(ConnectionError):
        ask(FakeEngine(fail_at=1), *TEXTS)
    others = FakeEngine()
    ask(others, *TEXTS, batch_tokens=30)
    assert sorted(len(text) for batch in others.batches for text in batch) == [2, 5, 10]
    engine = FakeEngine()
    ask(engine, *TEXTS)
    assert engine.batches == []
    assert ask.progress == [(5, 5)]


def test_an_engine_that_answers_too_few_stores_nothing(ask: Asked) -> None:
    class Short(FakeEngine):
        def complete(
            self, prompts: Sequence[Prompt], sampling: Sampling, adapter: Adapter | None
        ) -> list[RawCompletion]:
            return super().complete(prompts, sampling, adapter)[1:]

    with pytest.raises(ValueError, match="shorter"):
        ask(Short(), "a", "b")
    assert ask.store.connection.execute("SELECT count(*) FROM generations").fetchone() == (0,)


def test_an_empty_answer_has_no_mean_probability(ask: Asked) -> None:
    class Silent(FakeEngine):
        def complete(
            self, prompts: Sequence[Prompt], sampling: Sampling, adapter: Adapter | None
        ) -> list[RawCompletion]:
            assert prompts
            assert (sampling, adapter) == (SHORT, None)
            return [
                RawCompletion(
                    text="", token_ids=(), logprobs=(), n_prompt_tokens=1, n_answer_tokens=0, finish_reason="length"
                )
                for _ in prompts
            ]

    (found,) = ask(Silent(), "a")
    assert isinstance(found, Completion)
    assert (found.text, found.mean_logprob) == ("", None)


def test_a_prompt_without_room_for_its_answer_is_refused_and_the_others_are_answered(ask: Asked) -> None:
    engine = FakeEngine()
    just, over = "j" * (CONTEXT - 10), "o" * (CONTEXT - 9)
    found = ask(engine, over, "a", just)
    assert isinstance(found[0], Refusal)
    assert found[0].reason == "prompt of 91 tokens, limit 90 with an answer of 10"
    assert all(isinstance(item, Completion) for item in found[1:])
    assert engine.batches == [(just,), ("a",)]


def test_other_weights_adapters_and_lengths_are_other_generations(ask: Asked) -> None:
    one, two = Adapter(folder=Path("x"), digest="d1"), Adapter(folder=Path("x"), digest="d2")
    found = [
        *ask(FakeEngine(), "a"),
        *ask(FakeEngine("v"), "a"),
        *ask(FakeEngine(), "a", sampling=Sampling(max_tokens=11)),
        *ask(FakeEngine(), "a", adapter=one),
        *ask(FakeEngine(), "a", adapter=two),
        *ask(FakeEngine(), "b"),
    ]
    keys = [item.key for item in found if isinstance(item, Completion)]
    assert len(set(keys)) == len(keys) == 6
    again = ask(FakeEngine(), "a", adapter=Adapter(folder=Path("elsewhere"), digest="d1"))
    assert again == [found[3]]


def test_the_size_of_a_batch_is_no_part_of_a_generation(ask: Asked) -> None:
    first = ask(FakeEngine(), "a", batch_tokens=50)
    engine = FakeEngine()
    assert ask(engine, "a", batch_tokens=500) == first
    assert engine.batches == []
