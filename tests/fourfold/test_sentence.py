"""On the real weights: they come as a package."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from fourfold.embed.port import Kind
from fourfold.embed.prompts import Prompts
from fourfold.embed.sentence import SentenceEmbedder
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import Weights, find_embedder

TEXTS = [
    "The pump runs at 40 litres per minute.",
    "",
    "Debian's package manager keeps its sources in /etc/apt/sources.list.",
    "日本語の文章 🚀",
    "word " * 1000,
]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return find_embedder("embedded")


@pytest.fixture(scope="module")
def embedder(weights: Weights) -> SentenceEmbedder:
    return SentenceEmbedder(weights, device="cpu")


def test_vectors_are_float32_of_length_1(embedder: SentenceEmbedder) -> None:
    vectors = embedder.embed(TEXTS, kind="passage")
    assert (vectors.shape, vectors.dtype) == ((5, 384), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_vectors_are_those_of_a_float32_run(embedder: SentenceEmbedder, weights: Weights) -> None:
    with quiet_transformers():
        from sentence_transformers import SentenceTransformer

        reference = SentenceTransformer(str(weights.folder), device="cpu", local_files_only=True)
        expected = reference.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    cosines = (embedder.embed(TEXTS, kind="passage") * expected).sum(axis=1)
    assert cosines.min() >= 0.999
    # Different texts are told apart by far more than that.
    assert (expected[0] * expected[2]).sum() < 0.9


def test_no_texts_have_no_vectors(embedder: SentenceEmbedder) -> None:
    vectors = embedder.embed([], kind="query")
    assert (vectors.shape, vectors.dtype) == ((0, 384), np.float32)


def test_tokens_are_counted_to_the_end_of_a_text(embedder: SentenceEmbedder) -> None:
    # With the two special tokens.
    assert embedder.count_tokens(["", "word", "word " * 1000], kind="query") == [2, 3, 1002]
    assert embedder.max_tokens == 256
    assert embedder.count_tokens([], kind="query") == []


def test_what_is_past_the_limit_is_not_read(embedder: SentenceEmbedder) -> None:
    shown = "word " * 254
    same, changed = embedder.embed([shown, shown + "but this is another matter"], kind="passage")
    np.testing.assert_allclose(same, changed, atol=1e-6)


def test_the_identity_depends_on_the_weights(weights: Weights, embedder: SentenceEmbedder) -> None:
    other = Weights(name=weights.name, folder=weights.folder, digest="other")
    assert SentenceEmbedder(weights, device="cpu").identity == embedder.identity
    assert SentenceEmbedder(other, device="cpu").identity != embedder.identity


def test_nothing_is_written_while_embedding(embedder: SentenceEmbedder, capfd: pytest.CaptureFixture[str]) -> None:
    embedder.embed(TEXTS, kind="passage")
    assert embedder.count_tokens(TEXTS, kind="query")
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def prompted(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> SentenceEmbedder:
    """The same weights, in a folder that names prompts as E5's does."""
    folder = tmp_path_factory.mktemp("prompted") / "model"
    shutil.copytree(weights.folder, folder)
    prompts = {"query": "query: ", "passage": "passage: "}
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}), encoding="utf-8")
    return SentenceEmbedder(find_embedder(str(folder)), device="cpu")


@pytest.mark.parametrize(("kind", "prompt"), [("query", "query: "), ("passage", "passage: ")])
def test_a_prompt_that_the_files_name_stands_before_every_text(
    embedder: SentenceEmbedder, prompted: SentenceEmbedder, kind: Kind, prompt: str
) -> None:
    by_hand = [prompt + text for text in TEXTS]
    np.testing.assert_allclose(
        prompted.embed(TEXTS, kind=kind), embedder.embed(by_hand, kind="passage"), atol=1e-6
    )  # fmt: skip
    assert prompted.count_tokens(TEXTS, kind=kind) == embedder.count_tokens(by_hand, kind=kind)


def test_questions_and_passages_are_one_where_the_files_name_no_prompts(embedder: SentenceEmbedder) -> None:
    np.testing.assert_array_equal(embedder.embed(TEXTS, kind="query"), embedder.embed(TEXTS, kind="passage"))


def test_prompts_of_the_study_go_before_those_of_the_files(prompted: SentenceEmbedder) -> None:
    own = SentenceEmbedder(prompted.weights, device="cpu", prompts=Prompts())
    assert own.identity != prompted.identity
    assert own.count_tokens(["word"], kind="query") == [3]
    # "query", ":" and the word, with the two special tokens.
    assert prompted.count_tokens(["word"], kind="query") == [5]


def test_the_identity_says_how_vectors_are_made_and_loads_nothing(weights: Weights) -> None:
    embedder = SentenceEmbedder(weights, device="cpu")
    assert embedder.identity == {
        "engine": "sentence-transformers", "weights": weights.digest, "dtype": "bfloat16", "dimension": 384,
        "normalisation": "length 1 in float32", "query_prompt": "", "passage_prompt": "",
    }  # fmt: skip
    assert embedder._model is None
