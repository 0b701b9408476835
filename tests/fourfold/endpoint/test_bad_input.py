from __future__ import annotations

import gzip
import json

import pytest
from support.endpoint import Bench, free_address
from support.openai_server import Asked, Reply, Script, answer, failure, html, listing

from fourfold.errors import ModelError
from fourfold.llm.port import RawCompletion, Refusal


def always(reply: Reply) -> Script:
    return lambda _: reply


def refused_at_once(bench: Bench, reply: Reply) -> str:
    """The reason, after one try."""
    server = bench.serve(always(reply))
    (found,) = bench.ask(bench.engine(server.url), "q")
    assert isinstance(found, Refusal)
    assert len(server.asked) == 1
    return found.reason


def stopped(bench: Bench, reply: Reply, **settings: object) -> ModelError:
    """The error, with most requests unsent; each place in flight may start one more before it hears of it."""
    server = bench.serve(always(reply))
    with pytest.raises(ModelError) as caught:
        bench.ask(bench.engine(server.url, max_in_flight=2, **settings), *"abcdefghijkl")
    assert len(server.asked) <= 4
    return caught.value


def given_up(bench: Bench, reply: Reply) -> str:
    """The reason, after the first try and three more."""
    server = bench.serve(always(reply))
    (found,) = bench.ask(bench.engine(server.url), "q")
    assert isinstance(found, Refusal)
    assert len(server.asked) == 4
    assert found.reason.startswith("given up after 4 tries: ")
    return found.reason.removeprefix("given up after 4 tries: ")


def test_a_wrong_key_stops_the_run_and_is_not_shown(bench: Bench) -> None:
    error = stopped(bench, failure(401, "Incorrect API key provided: sk-very-secret"), key="sk-very-secret")
    assert error.what == "the endpoint refuses the key"
    assert "Incorrect API key provided: [key]" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("status", [403, 404, 405, 302, 410, 501])
def test_what_holds_for_every_request_stops_the_run(bench: Bench, status: int) -> None:
    assert str(status) in str(stopped(bench, failure(status)))


def test_a_wrong_model_name_stops_the_run_with_the_servers_words(bench: Bench) -> None:
    error = stopped(bench, failure(404, "The model `m` does not exist."))
    assert "The model `m` does not exist." in error.seen
    assert "/models" in error.hint


def test_html_in_place_of_json_stops_the_run(bench: Bench) -> None:
    error = stopped(bench, html())
    assert "<!doctype html>" in str(error)
    assert "login page" in error.hint


def test_json_of_another_kind_stops_the_run(bench: Bench) -> None:
    assert "without choices" in str(stopped(bench, Reply(b'{"hello": 1}')))
    assert "choices" in str(stopped(bench, Reply(b'{"choices": 3}')))


def test_nobody_at_any_address_stops_the_run(bench: Bench) -> None:
    urls = free_address(), free_address()
    with pytest.raises(ModelError, match="cannot be reached") as caught:
        bench.ask(bench.engine(*urls), "a", "b")
    assert all(url in str(caught.value) for url in urls)
    with pytest.raises(ModelError, match="cannot be reached"):
        _ = bench.engine(*urls).served


def test_a_reply_without_token_counts_stops_the_run(bench: Bench) -> None:
    assert stopped(bench, answer(usage=None)).what == "the endpoint does not count tokens"


def test_an_account_out_of_credit_stops_the_run(bench: Bench) -> None:
    assert stopped(bench, failure(429, "You exceeded your quota", code="insufficient_quota")).what == (
        "the account is out of credit"
    )


def test_a_pause_of_hours_stops_the_run(bench: Bench) -> None:
    assert "7,200 s" in stopped(bench, failure(429, headers={"retry-after": "7200"})).what


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_the_server_finds_wrong_fails_alone_and_is_not_repeated(bench: Bench, status: int) -> None:
    assert refused_at_once(bench, failure(status, "odd")).endswith("odd (test)")


@pytest.mark.parametrize(
    "reply",
    [
        failure(400, "This model's maximum context length is 512 tokens. However, you requested 3031 tokens."),
        failure(400, "request (3031 tokens) exceeds the available context size (512 tokens), try increasing it"),
        failure(400, "Please reduce the length: 3031 > 512.", code="context_length_exceeded"),
    ],
)
def test_a_prompt_that_is_too_long_says_how_long_it_is_and_what_the_limit_is(bench: Bench, reply: Reply) -> None:
    reason = refused_at_once(bench, reply)
    assert reason.startswith("prompt of 1 characters, limit exceeded with an answer of 8: 400")
    assert "3031" in reason
    assert "512" in reason


@pytest.mark.parametrize("finish_reason", ["content_filter", "tool_calls", None])
def test_an_answer_that_ended_for_another_reason_is_refused_with_it(bench: Bench, finish_reason: str | None) -> None:
    assert repr(finish_reason) in refused_at_once(bench, answer(finish_reason=finish_reason))


def test_an_answer_in_another_encoding_is_read_where_the_reply_names_it(bench: Bench) -> None:
    reply = answer("x")
    body = reply.body.replace(b'"x"', '"Müller"'.encode("latin-1"))
    found = bench.one(always(Reply(body, content_type="application/json; charset=iso-8859-1")))
    assert isinstance(found, RawCompletion)
    assert found.text == "Müller"


def test_an_answer_in_an_encoding_that_nobody_names_is_refused_not_guessed(bench: Bench) -> None:
    body = answer("x").body.replace(b'"x"', '"Müller"'.encode("latin-1"))
    assert "not in utf-8: byte 0xfc" in refused_at_once(bench, Reply(body))
    assert "unknown encoding" in refused_at_once(bench, Reply(body, content_type="application/json; charset=klingon"))


def test_empty_choices_are_asked_for_again(bench: Bench) -> None:
    empty = Reply(json.dumps({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}).encode())
    assert given_up(bench, empty) == "the reply holds no choices"


def test_an_error_in_a_reply_of_status_200_is_asked_for_again(bench: Bench) -> None:
    assert "overloaded" in given_up(bench, Reply(b'{"error": {"message": "overloaded", "code": 502}}'))


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(bench: Bench, status: int) -> None:
    assert given_up(bench, failure(status)).startswith(str(status))


def test_html_from_a_gateway_that_has_lost_its_server_is_tried_again(bench: Bench) -> None:
    assert given_up(bench, html(502)).startswith("502")


def test_a_reply_that_breaks_off_is_tried_again(bench: Bench) -> None:
    whole = answer("Zürich")
    assert "broke off" in given_up(bench, Reply(whole.body, cut_at=40))
    assert "breaks off" in given_up(bench, Reply(whole.body[:40]))
    # In the middle of a letter.
    cut = json.dumps({"choices": "ü"}, ensure_ascii=False).encode()[:14]
    assert "breaks off" in given_up(bench, Reply(cut))


def test_silence_is_tried_again_after_the_time_limit(bench: Bench) -> None:
    server = bench.serve(always(Reply(hang=True)))
    (found,) = bench.ask(bench.engine(server.url, timeout_s=0.05, retries=1), "q")
    assert found == Refusal(reason="given up after 2 tries: no whole reply within 0.05 s")
    assert len(server.asked) == 2


def test_broken_compression_is_tried_again(bench: Bench) -> None:
    body = gzip.compress(answer().body)[:-20] + b"x" * 20
    assert given_up(bench, Reply(body, headers={"content-encoding": "gzip"}))


def test_an_empty_answer_is_an_answer(bench: Bench) -> None:
    found = bench.one(always(answer("", usage=(5, 0), logprobs=())))
    assert found == RawCompletion(
        text="", token_ids=None, logprobs=None, n_prompt_tokens=5, n_answer_tokens=0, finish_reason="stop"
    )


def test_where_a_model_declines_its_words_are_the_answer(bench: Bench) -> None:
    reply = json.loads(answer().body)
    reply["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "I can't help with that."}
    found = bench.one(always(Reply(json.dumps(reply).encode())))
    assert isinstance(found, RawCompletion)
    assert found.text == "I can't help with that."


def test_a_models_list_that_is_none_stops_the_check(bench: Bench) -> None:
    for reply in (html(), Reply(b"[1]"), failure(404)):
        server = bench.serve(always(reply))
        with pytest.raises(ModelError):
            _ = bench.engine(server.url).served
    assert bench.engine(bench.serve(always(listing("m"))).url).served


def test_the_first_error_that_holds_for_all_stops_those_under_way(bench: Bench) -> None:
    def script(asked: Asked) -> Reply:
        return failure(401) if asked.words == "z" else Reply(hang=True)

    server = bench.serve(script)
    with pytest.raises(ModelError, match="refuses the key"):
        bench.ask(bench.engine(server.url, timeout_s=60.0), *"abcz")
