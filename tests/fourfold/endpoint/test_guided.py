from __future__ import annotations

import pytest
from support.endpoint import SHORT, Bench, prompts
from support.openai_server import Script, answer, failure

from fourfold.errors import ModelError
from fourfold.llm.port import RawCompletion, Refusal

SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}


def asked_for_json(bench: Bench, script: Script) -> list[RawCompletion | Refusal]:
    return bench.engine(bench.serve(script).url).complete_json(prompts("q"), SHORT, None, schema=SCHEMA)


def test_the_schema_is_sent_as_servers_know_it(bench: Bench) -> None:
    server = bench.serve(lambda _: answer('{"answer": "yes"}'))
    (found,) = bench.engine(server.url).complete_json(prompts("q"), SHORT, None, schema=SCHEMA)
    assert isinstance(found, RawCompletion)
    assert found.text == '{"answer": "yes"}'
    assert server.asked[0].body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
    }


@pytest.mark.parametrize("words", ["response_format is not supported", "json_schema: unknown type"])
def test_a_server_that_refuses_the_field_has_no_guided_json(bench: Bench, words: str) -> None:
    with pytest.raises(ModelError, match="does not hold answers to a JSON schema"):
        asked_for_json(bench, lambda _: failure(400, words))


def test_a_server_that_passes_over_the_field_is_given_away_by_a_whole_answer(bench: Bench) -> None:
    with pytest.raises(ModelError, match=r"an answer that is no JSON: 'Yes\.'"):
        asked_for_json(bench, lambda _: answer("Yes."))


def test_json_cut_off_by_its_limit_is_given_as_it_is(bench: Bench) -> None:
    (found,) = asked_for_json(bench, lambda _: answer('{"answer": "y', finish_reason="length"))
    assert isinstance(found, RawCompletion)
    assert found.finish_reason == "length"


def test_other_refusals_stay_with_their_item(bench: Bench) -> None:
    assert asked_for_json(bench, lambda _: failure(400, "bad words")) == [
        Refusal(reason="400 Bad Request: bad words (test)")
    ]


def test_the_same_prompt_with_and_without_a_schema_are_two_requests(bench: Bench) -> None:
    server = bench.serve(lambda _: answer("{}"))
    engine = bench.engine(server.url)
    engine.complete_json(prompts("q"), SHORT, None, schema=SCHEMA)
    engine.complete_json(prompts("q"), SHORT, None, schema={"type": "object"})
    engine.complete(prompts("q"), SHORT, None)
    assert len(server.asked) == 3
