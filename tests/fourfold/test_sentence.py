"""On the real weights: they come as a package."""

from __future__ import annotations

import numpy as np
import pytest

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
    vectors = embedder.embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((5, 384), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_vectors_are_those_of_a_float32_run(embedder: SentenceEmbedder, weights: Weights) -> None:
    with quiet_transformers():
        from sentence_transformers import SentenceTransformer

        reference = SentenceTransformer(str(weights.folder), device="cpu", local_files_only=True)
        expected = reference.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    cosines = (embedder.embed(TEXTS) * expected).sum(axis=1)
    assert cosines.min() >= 0.999
    # Different texts are told apart by far more than that.
    assert (expected[0] * expected[2]).sum() < 0.9


def test_no_texts_have_no_vectors(embedder: SentenceEmbedder) -> None:
    vectors = embedder.embed([])
    assert (vectors.shape, vectors.dtype) == ((0, 384), np.float32)


def test_tokens_are_counted_to_the_end_of_a_text(embedder: SentenceEmbedder) -> None:
    # With the two special tokens.
    assert embedder.count_tokens(["", "word", "word " * 1000]) == [2, 3, 1002]
    assert embedder.max_tokens == 256
    assert embedder.count_tokens([]) == []


def test_what_is_past_the_limit_is_not_read(embedder: SentenceEmbedder) -> None:
    shown = "word " * 254
    same, changed = embedder.embed([shown, shown + "but this is another matter"])
    np.testing.assert_allclose(same, changed, atol=1e-6)


def test_the_identity_depends_on_the_weights(weights: Weights, embedder: SentenceEmbedder) -> None:
    other = Weights(name=weights.name, folder=weights.folder, digest="other")
    assert SentenceEmbedder(weights, device="cpu").identity == embedder.identity
    assert SentenceEmbedder(other, device="cpu").identity != embedder.identity


def test_nothing_is_written_while_embedding(embedder: SentenceEmbedder, capfd: pytest.CaptureFixture[str]) -> None:
    embedder.embed(TEXTS)
    assert embedder.count_tokens(TEXTS)
    assert capfd.readouterr() == ("", "")
