from __future__ import annotations

import json
import signal
import threading
import time

import pytest
from support.endpoint import SHORT, Bench, prompts
from support.openai_server import Asked, Reply, Script, answer, events, failure, html

from fourfold.errors import ModelError, SystemFaultError


def streamed(bench: Bench, script: Script) -> list[str]:
    return list(bench.engine(bench.serve(script).url).stream(prompts("q")[0], SHORT, None))


def test_parts_come_as_they_are_written(bench: Bench) -> None:
    server = bench.serve(lambda _: events("Par", "is", " é"))
    assert list(bench.engine(server.url).stream(prompts("q")[0], SHORT, None)) == ["Par", "is", " é"]
    body = server.asked[0].body
    assert body["stream"] is True
    assert "logprobs" not in body


def test_a_stream_may_end_with_its_last_part_or_with_the_end_mark(bench: Bench) -> None:
    assert streamed(bench, lambda _: events("a", end=False)) == ["a"]
    assert streamed(bench, lambda _: events("a", finish_reason=None)) == ["a"]
    assert streamed(bench, lambda _: events("a", finish_reason="length")) == ["a"]


def test_nothing_is_taken_from_the_server_that_nobody_reads(bench: Bench) -> None:
    parts = bench.engine(bench.serve(lambda _: events("a", "b", "c")).url).stream(prompts("q")[0], SHORT, None)
    assert next(parts) == "a"
    parts.close()  # type: ignore[attr-defined]


def test_a_stream_that_breaks_off_is_no_answer(bench: Bench) -> None:
    server = bench.serve(lambda _: events("Par", "is", end=False, finish_reason=None))
    parts = bench.engine(server.url).stream(prompts("q")[0], SHORT, None)
    assert [next(parts), next(parts)] == ["Par", "is"]
    with pytest.raises(SystemFaultError, match="breaks off before its end; 5 characters had come"):
        next(parts)
    assert len(server.asked) == 1


def test_a_connection_that_breaks_off_within_a_stream_is_no_answer(bench: Bench) -> None:
    whole = events("Par", "is")
    with pytest.raises(SystemFaultError, match="broke off"):
        streamed(bench, lambda _: Reply(whole.body, content_type=whole.content_type, cut_at=len(whole.body) - 60))


def test_what_fails_before_the_first_part_is_tried_again(bench: Bench) -> None:
    faults = (failure(500), Reply(hang=True), events(end=False, finish_reason=None))
    server = bench.serve(lambda asked: faults[asked.nth] if asked.nth < 3 else events("yes"))
    parts = bench.engine(server.url, timeout_s=0.2).stream(prompts("q")[0], SHORT, None)
    assert list(parts) == ["yes"]
    assert len(server.asked) == 4


def test_what_fails_to_the_last_try_is_a_system_fault(bench: Bench) -> None:
    with pytest.raises(SystemFaultError, match="given up after 4 tries: 500"):
        streamed(bench, lambda _: failure(500))


@pytest.mark.parametrize("reply", [failure(401), html(), answer("whole")])
def test_what_holds_for_every_request_is_raised(bench: Bench, reply: Reply) -> None:
    with pytest.raises(ModelError):
        streamed(bench, lambda _: reply)


def test_an_error_or_a_filter_within_the_stream_is_raised(bench: Bench) -> None:
    error = Reply(b'data: {"error": {"message": "out of memory"}}\n\n', content_type="text/event-stream")
    with pytest.raises(SystemFaultError, match="out of memory"):
        streamed(bench, lambda _: error)
    with pytest.raises(SystemFaultError, match="content_filter"):
        streamed(bench, lambda _: events("a", finish_reason="content_filter"))


def test_a_stream_in_another_encoding_is_not_guessed(bench: Bench) -> None:
    data = json.dumps({"choices": [{"delta": {"content": "ü"}}]}, ensure_ascii=False).encode("latin-1")
    with pytest.raises(SystemFaultError, match="not in utf-8"):
        streamed(bench, lambda _: Reply(b"data: " + data + b"\n\n", content_type="text/event-stream"))


def test_ctrl_c_ends_the_wait(bench: Bench) -> None:
    def script(asked: Asked) -> Reply:
        if asked.number == 0:
            main = threading.main_thread().ident
            threading.Timer(0.1, signal.pthread_kill, [main, signal.SIGINT]).start()
        return Reply(hang=True)

    engine = bench.engine(bench.serve(script).url, timeout_s=60.0)
    started = time.monotonic()
    # A shell starts what it puts in the background with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            bench.ask(engine, "a", "b")
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - started < 5
