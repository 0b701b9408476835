from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from support.endpoint import SHORT, Bench, prompts
from support.openai_server import Asked, OpenAIServer, Reply, answer, echo, failure, listing

from fourfold.errors import ModelError
from fourfold.llm.port import Adapter, Message, Prompt, RawCompletion, Refusal, Sampling


def test_an_answer_carries_text_counts_reason_and_log_probabilities(bench: Bench) -> None:
    found = bench.one(lambda _: answer(" Paris \n", usage=(31, 2), logprobs=(-0.25, -1.5)))
    assert found == RawCompletion(
        text="Paris", token_ids=None, logprobs=(-0.25, -1.5), n_prompt_tokens=31, n_answer_tokens=2,
        finish_reason="stop",
    )  # fmt: skip


def test_an_answer_cut_by_its_limit_says_so(bench: Bench) -> None:
    found = bench.one(lambda _: answer("Par", finish_reason="length"))
    assert isinstance(found, RawCompletion)
    assert found.finish_reason == "length"


def test_the_request_is_the_whole_chat_decoded_greedily(bench: Bench) -> None:
    server = bench.serve()
    chat = (Message(role="system", content="Be brief."), Message(role="user", content="Où?"))
    bench.engine(server.url, key="secret").complete([Prompt(chat=chat)], Sampling(max_tokens=5), None)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
    assert asked.headers["authorization"] == "Bearer secret"
    assert asked.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Où?"}],
        "temperature": 0,
        "max_tokens": 5,
        "logprobs": True,
        "top_logprobs": 1,
    }


def test_without_a_key_none_is_sent(bench: Bench) -> None:
    server = bench.serve()
    bench.ask(bench.engine(server.url), "q")
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize("key", ["", " secret", "sec\nret", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(bench: Bench, key: str) -> None:
    with pytest.raises(ModelError, match="key cannot be sent") as caught:
        bench.engine("http://127.0.0.1:1/v1", key=key, key_variable="MY_KEY")
    assert "MY_KEY" in str(caught.value)
    assert not key.strip() or key not in str(caught.value)


def test_answers_come_in_order_and_never_more_at_once_than_said(bench: Bench) -> None:
    def later_ones_sooner(asked: Asked) -> Reply:
        return Reply(echo(asked).body, wait_s=0.02 * (3 - int(asked.words) % 4))

    server = bench.serve(later_ones_sooner)
    found = bench.ask(bench.engine(server.url, max_in_flight=5), *map(str, range(30)))
    assert [item.text for item in found if isinstance(item, RawCompletion)] == [f"re: {n}" for n in range(30)]
    assert server.most_at_once == 5


def test_no_prompts_are_no_requests(bench: Bench) -> None:
    server = bench.serve()
    assert bench.ask(bench.engine(server.url)) == []
    assert server.asked == []


def test_missing_log_probabilities_are_none_and_said_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    server = bench.serve(lambda asked: answer(asked.words, logprobs=None))
    with caplog.at_level(logging.WARNING, "fourfold"):
        found = bench.ask(bench.engine(server.url), "a", "b", "c")
    assert [item.logprobs for item in found if isinstance(item, RawCompletion)] == [None] * 3
    assert [record.getMessage() for record in caplog.records] == ["m gives no log-probabilities"]


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("m", []), ("m-2026-01-31", []), (None, []),
        ("other", ["m was asked for, and the server says that other answers"]),
    ],
)  # fmt: skip
def test_an_answer_of_another_model_than_asked_is_said_once(
    bench: Bench, caplog: pytest.LogCaptureFixture, by: str | None, said: list[str]
) -> None:
    server = bench.serve(lambda asked: answer(asked.words, model=by))
    with caplog.at_level(logging.WARNING, "fourfold"):
        found = bench.ask(bench.engine(server.url), "a", "b")
    assert [item.text for item in found if isinstance(item, RawCompletion)] == ["a", "b"]
    assert [record.getMessage() for record in caplog.records] == said


def test_a_server_that_refuses_the_log_probability_field_is_asked_without_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def script(asked: Asked) -> Reply:
        return failure(400, "unknown field: logprobs") if "logprobs" in asked.body else answer(logprobs=None)

    server = bench.serve(script)
    engine = bench.engine(server.url)
    with caplog.at_level(logging.WARNING, "fourfold"):
        assert all(isinstance(item, RawCompletion) for item in bench.ask(engine, "a", "b", "c"))
        n_asked = len(server.asked)
        bench.ask(engine, "d")
    assert len(server.asked) == n_asked + 1
    assert len(caplog.records) == 1


def test_a_model_that_knows_only_the_newer_name_of_the_limit_is_asked_so(bench: Bench) -> None:
    def script(asked: Asked) -> Reply:
        if "max_tokens" in asked.body:
            return failure(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return answer()

    server = bench.serve(script)
    assert isinstance(bench.ask(bench.engine(server.url), "a")[0], RawCompletion)
    assert server.asked[-1].body["max_completion_tokens"] == SHORT.max_tokens


def test_adapters_go_by_their_names_on_the_server(bench: Bench) -> None:
    server = bench.serve()
    engine = bench.engine(server.url, digests={"d1": "m-tuned"})
    engine.complete(prompts("a"), SHORT, Adapter(folder=Path("x"), digest="d1"))
    assert server.asked[0].body["model"] == "m-tuned"
    with pytest.raises(ModelError, match="does not have the adapter"):
        engine.complete(prompts("a"), SHORT, Adapter(folder=Path("x"), digest="d2"))


def test_a_text_cannot_be_scored(bench: Bench) -> None:
    with pytest.raises(ModelError, match="cannot score a given text"):
        bench.engine("http://127.0.0.1:1/v1").score(prompts("a"), [["b"]], None)


def test_prompts_have_no_token_ids(bench: Bench) -> None:
    chat = (Message(role="user", content="a"),)
    assert bench.engine("http://127.0.0.1:1/v1").prepare([chat]) == [Prompt(chat=chat)]


def lists(*models: str, **about: object) -> OpenAIServer:
    return OpenAIServer(lambda _: listing(*models, **about))


def test_identity_is_name_and_listed_weights_at_whatever_address(bench: Bench) -> None:
    with lists("m", root="org/model", created=1) as one, lists("m", root="org/model", created=2) as other:
        first, second = (bench.engine(server.url).identity for server in (one, other))
    assert first == second == {"engine": "openai-1", "model": "m", "served": "org/model"}


def test_other_weights_under_the_same_name_are_another_identity(bench: Bench) -> None:
    meta = {"n_params": 10, "size": 20}
    with lists("m", root="a") as one, lists("m", root="b") as two, lists("m", meta=meta) as three:
        identities = [bench.engine(server.url).identity["served"] for server in (one, two, three)]
    assert identities == ["a", "b", "m 10 parameters 20 bytes"]


@pytest.mark.parametrize(
    ("about", "limit"), [({"max_model_len": 2048}, 2048), ({"meta": {"n_ctx": 512}}, 512), ({}, None)]
)
def test_the_context_is_what_the_server_says(bench: Bench, about: dict[str, object], limit: int | None) -> None:
    with lists("m", **about) as server:
        assert bench.engine(server.url).context_tokens == limit


def test_a_name_is_found_by_alias_and_without_its_tag(bench: Bench) -> None:
    with lists("/models/m.gguf", aliases=["m"]) as server:
        assert bench.engine(server.url).identity["served"] == "/models/m.gguf"
    with lists("m:latest") as server:
        assert bench.engine(server.url).identity["served"] == "m:latest"


def test_a_model_that_is_not_listed_is_named_with_those_that_are(bench: Bench) -> None:
    with lists("x", "y") as server, pytest.raises(ModelError, match="lists x, y") as caught:
        _ = bench.engine(server.url).served
    assert caught.value.expected == "m"


def test_adapters_need_not_be_served_before_they_are_tuned(bench: Bench) -> None:
    with lists("m", "m-2") as server:
        served = bench.engine(server.url, adapters={"tune": "m-tuned", "tune-seed-2": "m-2"}).served
    assert {"m", "m-2"} == served.names


def test_addresses_that_serve_different_models_are_refused(bench: Bench) -> None:
    with lists("m", root="a") as one, lists("m", root="b") as two, pytest.raises(ModelError, match="different models"):
        _ = bench.engine(one.url, two.url).served


def test_a_refused_prompt_leaves_the_others_answered(bench: Bench) -> None:
    server = bench.serve(lambda asked: failure(400, "bad words") if asked.words == "b" else echo(asked))
    found = bench.ask(bench.engine(server.url), "a", "b", "c")
    assert found[1] == Refusal(reason="400 Bad Request: bad words (test)")
    assert [isinstance(item, RawCompletion) for item in found] == [True, False, True]
    assert len(server.asked) == 3


def test_words_of_any_script_and_broken_surrogates_are_sent(bench: Bench) -> None:
    server = bench.serve()
    bench.ask(bench.engine(server.url), "日本 \ud800")
    assert json.loads(json.dumps(server.asked[0].words)) == "日本 \ud800"
