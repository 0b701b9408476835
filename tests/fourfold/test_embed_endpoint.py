"""Embeddings from a server: scripted faults, and llama.cpp's real server where it is installed."""

from __future__ import annotations

import json
import random
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from support import openai_server
from support.openai_server import Asked, OpenAIServer, Reply, failure, html, listing

from fourfold.embed.cache import CachedEmbedder
from fourfold.embed.endpoint import EndpointEmbedder
from fourfold.embed.prompts import Prompts
from fourfold.errors import ModelError
from fourfold.llm.weights import embedded_gguf
from fourfold.store import Store
from fourfold.study import EmbeddingEndpoint

DIMENSION = 6
KEY = "sk-secret"


def vector(text: str) -> list[float]:
    """Any numbers that a text has to itself, not of length 1."""
    return [float(number) for number in np.random.default_rng(list(text.encode())).normal(size=DIMENSION)]


def embeddings(asked: Asked, *, shuffle: bool = True) -> Reply:
    rows = [{"index": at, "embedding": vector(text)} for at, text in enumerate(asked.body["input"])]
    if shuffle:
        rows.reverse()
    return Reply(json.dumps({"object": "list", "data": rows, "usage": {"prompt_tokens": 1}}).encode())


def script(asked: Asked) -> Reply:
    return listing("m", root="w") if asked.path.endswith("/models") else embeddings(asked)


def always(reply: Reply | Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
    def play(asked: Asked) -> Reply:
        if asked.path.endswith("/models"):
            return listing("m", root="w")
        return reply if isinstance(reply, Reply) else reply(asked)

    return play


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    # The server counts what it was asked by its words, which are chat messages elsewhere.
    monkeypatch.setattr(Asked, "words", property(lambda asked: str(asked.body.get("input", asked.path))))
    with openai_server.OpenAIServer(script) as running:
        yield running


@pytest.fixture
def embedder(server: OpenAIServer) -> Iterator[EndpointEmbedder]:
    with connect(server, batch_texts=4) as connected:
        yield connected


def connect(server: OpenAIServer, prompts: Prompts | None = None, **settings: Any) -> EndpointEmbedder:
    given = {"urls": server.url, "model": "m", "retries": 0, "timeout_s": 5.0, **settings}
    return EndpointEmbedder(EmbeddingEndpoint(**given), key=KEY, jitter=random.Random(0), prompts=prompts or Prompts())


def expected(texts: list[str]) -> Any:
    plain = np.array([vector(text) for text in texts], dtype=np.float32)
    return plain / np.linalg.norm(plain, axis=1, keepdims=True)


TEXTS = [f"{'long ' * (number * 7 % 5)}text {number}" for number in range(11)]


def inputs(server: OpenAIServer) -> list[list[str]]:
    return [asked.body["input"] for asked in server.asked if asked.body]


def test_vectors_come_in_the_order_of_the_texts_at_length_1(embedder: EndpointEmbedder) -> None:
    vectors = embedder.embed(TEXTS, kind="passage")
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected(TEXTS), atol=1e-6)


def test_texts_go_in_batches_of_like_length(server: OpenAIServer, embedder: EndpointEmbedder) -> None:
    embedder.embed(TEXTS, kind="passage")
    batches = sorted(inputs(server), key=lambda batch: -len(batch[0]))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert sorted(text for batch in batches for text in batch) == sorted(TEXTS)
    lengths = [len(text) for batch in batches for text in batch]
    assert lengths == sorted(lengths, reverse=True)


def test_a_request_names_model_and_key_and_a_dimension_only_where_one_is_set(server: OpenAIServer) -> None:
    with connect(server) as embedder:
        embedder.embed(["x"], kind="query")
    with connect(server, dimensions=DIMENSION) as embedder:
        embedder.embed(["x"], kind="query")
    plain, shortened = (asked for asked in server.asked if asked.body)
    assert plain.body == {"model": "m", "input": ["x"], "encoding_format": "float"}
    assert shortened.body == {**plain.body, "dimensions": DIMENSION}
    assert plain.headers["authorization"] == f"Bearer {KEY}"


def test_prompts_are_put_before_the_texts_here(server: OpenAIServer) -> None:
    with connect(server, Prompts(query="query: ", passage="passage: ")) as embedder:
        embedder.embed(["x"], kind="query")
        embedder.embed(["x"], kind="passage")
    assert inputs(server) == [["query: x"], ["passage: x"]]


def test_the_identity_holds_what_is_served_and_no_address(server: OpenAIServer) -> None:
    with connect(server, Prompts(query="q: "), dimensions=3) as embedder:
        assert embedder.identity == {
            "engine": "openai-embeddings-1", "model": "m", "served": "w", "dimension": 3,
            "normalisation": "length 1 in float32", "query_prompt": "q: ", "passage_prompt": "",
        }  # fmt: skip
        assert (embedder.max_tokens, embedder.count_tokens(["x"], kind="query")) == (None, None)


def test_no_texts_have_no_vectors(embedder: EndpointEmbedder) -> None:
    assert embedder.embed([], kind="query").shape == (0, DIMENSION)


def test_a_cached_text_is_not_sent_again(server: OpenAIServer, embedder: EndpointEmbedder, tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        cached = CachedEmbedder(embedder, store)
        first = cached.embed(TEXTS, kind="query")
        n_asked = len(server.asked)
        np.testing.assert_array_equal(cached.embed(TEXTS, kind="query"), first)
    assert len(server.asked) == n_asked


@pytest.mark.parametrize("fault", [failure(503), failure(429, headers={"retry-after": "0"}), Reply(b"{}", cut_at=1)])
def test_a_fault_that_passes_is_tried_again(server: OpenAIServer, fault: Reply) -> None:
    server.script = always(lambda asked: fault if asked.nth == 0 else embeddings(asked))
    with connect(server, retries=2) as embedder:
        np.testing.assert_allclose(embedder.embed(["x"], kind="query"), expected(["x"]), atol=1e-6)
    assert len(inputs(server)) == 2


def test_the_text_that_a_server_refuses_is_named(server: OpenAIServer) -> None:
    def refuse(asked: Asked) -> Reply:
        too_long = any("10" in text for text in asked.body["input"])
        return failure(400, "input is larger than the max context size of 8") if too_long else embeddings(asked)

    server.script = always(refuse)
    with connect(server) as embedder, pytest.raises(ModelError, match="does not embed a text") as error:
        embedder.embed(TEXTS, kind="passage")
    assert f"{len(TEXTS[10])} characters, {TEXTS[10]!r}" in str(error.value.seen)
    assert "max context size of 8" in str(error.value.seen)


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (failure(401), "refuses the key"),
        (failure(404), "does not have the model"),
        (html(), "not that of an OpenAI-compatible server"),
        (Reply(b'{"data": []}'), "not that of an OpenAI-compatible server"),
        (Reply(b'{"data": [{"index": 1, "embedding": [1.0]}]}'), "not that of an OpenAI-compatible server"),
        (Reply(b'{"data": [{"index": 0, "embedding": [1.0, null]}]}'), "not that of an OpenAI-compatible server"),
        (Reply(b'{"data": [{"index": 0, "embedding": "AAAA"}]}'), "not that of an OpenAI-compatible server"),
        (Reply(b'{"data": [{"index": 0, "embedding": []}]}'), "not that of an OpenAI-compatible server"),
        (Reply(b'{"data": [{"index": 0, "embedding": [0.0, 0.0]}]}'), "cannot be used"),
        (Reply(b'{"data": [{"index": 0, "embedding": [NaN, 1.0]}]}'), "cannot be used"),
        (failure(503), "does not embed a text"),
    ],
)
def test_a_reply_of_no_use_stops_in_four_parts(server: OpenAIServer, reply: Reply, what: str) -> None:
    server.script = always(reply)
    with connect(server) as embedder, pytest.raises(ModelError, match=what) as error:
        embedder.embed(["x"], kind="query")
    for part in (error.value.seen, error.value.expected, error.value.hint):
        assert str(part).strip()
    assert KEY not in str(error.value)


def test_vectors_whose_length_changes_are_refused(server: OpenAIServer) -> None:
    def other(asked: Asked) -> Reply:
        (text,) = asked.body["input"]
        row = {"index": 0, "embedding": [1.0] * len(text)}
        return Reply(json.dumps({"data": [row]}).encode())

    server.script = always(other)
    with connect(server) as embedder:
        embedder.embed(["ab"], kind="query")
        with pytest.raises(ModelError, match="3 numbers, where 2 were expected"):
            embedder.embed(["abc"], kind="query")
    with connect(server, dimensions=5) as embedder, pytest.raises(ModelError, match="2 numbers, where 5"):
        embedder.embed(["ab"], kind="query")


def test_nobody_there_is_said_with_the_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    settings = EmbeddingEndpoint(urls=(url,), model="m", retries=0)
    with EndpointEmbedder(settings, key=None, jitter=random.Random(0), prompts=Prompts()) as embedder:
        with pytest.raises(ModelError, match="cannot be reached") as error:
            embedder.embed(["x"], kind="query")
        assert url in str(error.value.seen)
        with pytest.raises(ModelError, match="cannot be reached"):
            _ = embedder.identity


def test_an_embedding_endpoint_has_no_adapters() -> None:
    with pytest.raises(ValidationError, match="no meaning for an embedder"):
        EmbeddingEndpoint(urls=("http://a/v1",), model="m", adapters={"tune": "x"})


@pytest.fixture(scope="module")
def llama_server() -> Iterator[str]:
    """llama.cpp's server with the embedded model, whose last layer's mean stands in for an embedder's vector."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp's server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    params = xllamacpp.CommonParams()
    params.model.path = str(embedded_gguf())
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.n_ctx = 512
    params.n_batch = params.n_ubatch = 512
    # With two, the mean of a decoder's states depends on what runs beside (cosine 0.54 to itself alone, 2026.10).
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    running = xllamacpp.Server(params)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1):
                break
        except OSError:
            time.sleep(0.1)
    yield f"{url}/v1"
    del running


def test_llama_cpps_server_embeds(llama_server: str) -> None:
    texts = ["The pump runs at 40 litres per minute.", "The pump moves 40 litres a minute.", "Bees dance.", "日本語 🚀"]
    with urllib.request.urlopen(f"{llama_server}/models") as reply:
        model = json.load(reply)["data"][0]["id"]
    settings = EmbeddingEndpoint(urls=(llama_server,), model=model, batch_texts=2)
    with EndpointEmbedder(settings, key=None, jitter=random.Random(0), prompts=Prompts()) as embedder:
        vectors = embedder.embed(texts, kind="passage")
        assert vectors.shape == (4, 576)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        alone = np.concatenate([embedder.embed([text], kind="passage") for text in texts])
        assert (vectors * alone).sum(axis=1).min() > 0.999
        assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
        with pytest.raises(ModelError, match="does not embed a text") as error:
            embedder.embed(["word " * 2000, "short"], kind="passage")
        assert "10000 characters" in str(error.value.seen)
        assert "parameters" in str(embedder.identity["served"])
