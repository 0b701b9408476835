from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from support.endpoint import SHORT, Bench, FakeTime, free_address, prompts
from support.openai_server import Asked, OpenAIServer, Reply, echo, failure

from fourfold.errors import ModelError
from fourfold.llm.endpoint.backoff import backoff_s
from fourfold.llm.endpoint.clock import Clock
from fourfold.llm.port import RawCompletion, Refusal


def first_tries(reply: Reply, n: int = 1) -> Callable[[Asked], Reply]:
    return lambda asked: reply if asked.nth < n else echo(asked)


def all_answered(found: list[RawCompletion | Refusal], *words: str) -> bool:
    return [item.text for item in found if isinstance(item, RawCompletion)] == [f"re: {word}" for word in words]


def test_tries_wait_longer_each_time_by_the_jitter_given(bench: Bench) -> None:
    bench.one(lambda _: failure(500), retries=5)
    jitter = random.Random(7)
    assert bench.time.waits == [backoff_s(n, jitter) for n in range(1, 6)]


def test_retry_after_is_waited_for_in_seconds_and_as_a_date(bench: Bench) -> None:
    for value in ("7", "Wed, 25 Nov 2026 12:00:07 GMT"):
        bench.time.waits.clear()
        found = bench.one(first_tries(failure(429, headers={"retry-after": value})))
        assert isinstance(found, RawCompletion)
        assert bench.time.waits == [7]


def test_a_pause_holds_for_every_request_to_that_address(bench: Bench) -> None:
    started: list[float] = []

    def script(asked: Asked) -> Reply:
        started.append(bench.time.seconds)
        return failure(429, headers={"retry-after": "20"}) if asked.number == 0 else echo(asked)

    server = bench.serve(script)
    assert all_answered(bench.ask(bench.engine(server.url, max_in_flight=1), "a", "b"), "a", "b")
    assert started == [1000, 1020, 1020]


def test_while_one_address_is_paused_the_other_answers(bench: Bench) -> None:
    busy = bench.serve(lambda _: failure(429, headers={"retry-after": "60"}))
    free = bench.serve()
    words = [f"w{n}" for n in range(20)]
    assert all_answered(bench.ask(bench.engine(busy.url, free.url, max_in_flight=2), *words), *words)
    assert len(busy.asked) <= 2
    assert bench.time.waits == []


def test_a_busy_server_that_answers_others_is_waited_for_beyond_the_tries(bench: Bench) -> None:
    # Takes two of each six: the last of forty is turned away far more often than three times.
    def script(asked: Asked) -> Reply:
        return echo(asked) if asked.number % 6 < 2 else failure(429, headers={"retry-after": "1"})

    server = bench.serve(script)
    words = [f"w{n}" for n in range(40)]
    found = bench.ask(bench.engine(server.url, max_in_flight=8, retries=1), *words)
    assert all_answered(found, *words)
    assert max(Counter(asked.words for asked in server.asked).values()) > 2


def test_a_server_that_is_always_busy_is_given_up(bench: Bench) -> None:
    found = bench.one(lambda _: failure(429, headers={"retry-after": "1"}))
    assert isinstance(found, Refusal)
    assert found.reason.startswith("given up after 4 tries: 429")


def test_addresses_take_turns(bench: Bench) -> None:
    servers = [bench.serve() for _ in range(3)]
    words = [f"w{n}" for n in range(30)]
    assert all_answered(bench.ask(bench.engine(*(server.url for server in servers)), *words), *words)
    assert [len(server.asked) for server in servers] == [10, 10, 10]


def test_a_dead_address_costs_no_answer_no_wait_and_no_try(bench: Bench) -> None:
    server = bench.serve()
    words = [f"w{n}" for n in range(30)]
    engine = bench.engine(free_address(), server.url, free_address(), retries=0)
    assert all_answered(bench.ask(engine, *words), *words)
    assert bench.time.waits == []


def test_a_server_that_dies_while_it_is_asked_costs_no_answer(bench: Bench) -> None:
    dying, other = bench.serve(), bench.serve(lambda asked: Reply(echo(asked).body, wait_s=0.005))
    words = [f"w{n}" for n in range(200)]

    def kill(asked: Asked) -> Reply:
        if asked.number == 10:
            threading.Thread(target=dying.stop).start()
        return Reply(echo(asked).body, wait_s=0.005)

    dying.script = kill
    found = bench.ask(bench.engine(dying.url, other.url, max_in_flight=8), *words)
    assert all_answered(found, *words)
    assert len(other.asked) > 150


def test_a_restarted_server_is_found_again(bench: Bench) -> None:
    with OpenAIServer() as server:
        engine = bench.engine(server.url)
        assert all_answered(bench.ask(engine, "a"), "a")
    with pytest.raises(ModelError, match="cannot be reached"):
        bench.ask(engine, "b")
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    with OpenAIServer(port=port):
        assert all_answered(bench.ask(engine, "b"), "b")


def test_requests_a_minute_are_kept_repeats_counted(bench: Bench) -> None:
    started: list[float] = []

    def script(asked: Asked) -> Reply:
        started.append(bench.time.seconds)
        return failure(500) if asked.number == 0 else echo(asked)

    server = bench.serve(script)
    found = bench.ask(bench.engine(server.url, requests_per_minute=6, max_in_flight=1), "a", "b", "c")
    assert all_answered(found, "a", "b", "c")
    assert started == [1000, 1010, 1020, 1030]


def test_tokens_a_minute_are_kept_by_what_the_server_counted(bench: Bench) -> None:
    started: list[float] = []

    def script(asked: Asked) -> Reply:
        started.append(bench.time.seconds)
        return echo(asked)

    # Thought to take 40 / 4 + 8 = 18 tokens, counted as 7 + 2: 9 of 90 a minute are 6 s.
    server = bench.serve(script)
    bench.ask(bench.engine(server.url, tokens_per_minute=90, max_in_flight=1), "a" * 40, "b" * 40, "c" * 40)
    assert started == pytest.approx([1000, 1006, 1012])


def test_one_answer_in_ten_failing_loses_and_doubles_none(bench: Bench) -> None:
    faults = (failure(429, headers={"retry-after": "0"}), failure(500), Reply(hang=True))

    def script(asked: Asked) -> Reply:
        fault = asked.nth == 0 and int(asked.words) % 10 == 3
        return faults[int(asked.words) // 10 % 3] if fault else echo(asked)

    server = bench.serve(script)
    words = [str(n) for n in range(1000)]
    # Far above what an answer takes here, so that only the silent ones reach it.
    found = bench.ask(bench.engine(server.url, max_in_flight=64, timeout_s=4.0), *words)
    assert all_answered(found, *words)
    tries = Counter(asked.words for asked in server.asked)
    assert tries == Counter({word: 2 if int(word) % 10 == 3 else 1 for word in words})


def test_identical_prompts_are_asked_once(bench: Bench) -> None:
    server = bench.serve(lambda asked: Reply(echo(asked).body, wait_s=0.05))
    found = bench.ask(bench.engine(server.url), *["a", "b"] * 10)
    assert all_answered(found, *["a", "b"] * 10)
    assert sorted(asked.words for asked in server.asked) == ["a", "b"]


def test_identical_prompts_of_several_threads_are_asked_once(bench: Bench) -> None:
    server = bench.serve(lambda asked: Reply(echo(asked).body, wait_s=0.3))
    engine = bench.engine(server.url)
    found: list[list[RawCompletion | Refusal]] = []
    threads = [threading.Thread(target=lambda: found.append(bench.ask(engine, "a", "b"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(all_answered(item, "a", "b") for item in found)
    assert len(found) == 6
    assert len(server.asked) == 2


def test_a_prompt_asked_again_later_is_sent_again(bench: Bench) -> None:
    server = bench.serve()
    engine = bench.engine(server.url)
    for _ in range(3):
        bench.ask(engine, "a")
    assert len(server.asked) == 3


def test_one_caller_that_fails_does_not_take_a_shared_request_from_another(bench: Bench) -> None:
    def script(asked: Asked) -> Reply:
        if asked.words == "bad":
            return Reply(failure(401).body, status=401, wait_s=0.2)
        return Reply(echo(asked).body, wait_s=0.6)

    engine = bench.engine(bench.serve(script).url)
    found: list[list[RawCompletion | Refusal]] = []
    other = threading.Thread(target=lambda: found.append(bench.ask(engine, "shared")))
    other.start()
    with pytest.raises(ModelError):
        bench.ask(engine, "shared", "bad")
    other.join()
    assert all_answered(found[0], "shared")


def test_time_passes_by_itself_in_the_product(bench: Bench) -> None:
    server = bench.serve(first_tries(failure(500, headers={"retry-after": "0.3"})))
    started = time.monotonic()
    engine = bench.engine(server.url, clock=Clock())
    assert isinstance(engine.complete(prompts("a"), SHORT, None)[0], RawCompletion)
    assert time.monotonic() - started >= 0.3


def test_fake_time_moves_only_by_waiting() -> None:
    assert FakeTime().clock.monotonic() == 1000
