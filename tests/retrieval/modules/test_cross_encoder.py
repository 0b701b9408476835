"""The small cross-encoder, on a tiny random BERT."""

from __future__ import annotations

from pathlib import Path

import pytest

from fourfold.digest import digest_of_file
from fourfold.errors import ModelError, QuestionError
from fourfold.retrieval.modules.judge_cross_encoder import CrossEncoderScorer, train_cross_encoder
from fourfold.retrieval.modules.knowledge_filter import LabelledPair, Pair

WORDS = ["pump", "valve", "noon", "water", "the", "runs", "when", "does"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    vocabulary = {word: at for at, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(folder)
    config = BertConfig(
        vocab_size=13, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=512, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


PAIRS = [
    LabelledPair(pair=Pair(premise=f"the {word} runs", hypothesis="when does the pump"), entailed=word == "pump")
    for word in ("pump", "valve", "water", "noon")
] * 8  # fmt: skip


def train(folder: Path, encoder: Path, seed: int = 0, epochs: int = 1) -> float:
    return train_cross_encoder(folder, PAIRS, encoder, epochs=epochs, seed=seed, device="cpu")


def test_it_learns_what_it_is_shown_and_scores_it_again_from_its_folder(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    # Random weights of this size want larger steps than trained ones.
    monkeypatch.setattr("fourfold.retrieval.modules.judge_cross_encoder.LEARNING_RATE", 0.01)
    state = torch.get_rng_state()
    told: list[tuple[int, int]] = []
    loss = train_cross_encoder(
        tmp_path, PAIRS, encoder, epochs=20, seed=0, device="cpu", progress=lambda *step: told.append(step)
    )
    assert torch.equal(state, torch.get_rng_state())
    assert (told[0], told[-1]) == ((1, 40), (40, 40))
    judged = CrossEncoderScorer(tmp_path, device="cpu").score([pair.pair for pair in PAIRS[:4]])
    scores = [one.score for one in judged]
    assert None not in scores
    assert loss < 0.3
    assert [one.entailed for one in judged] == [True, False, False, False]
    assert all(0 <= score <= 1 for score in scores if score is not None)


def test_the_seed_decides_the_weights(encoder: Path, tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(tmp_path / name, encoder, seed)
        digests.append(digest_of_file(tmp_path / name / "model.safetensors"))
    assert digests[0] == digests[1] != digests[2]


def test_no_pairs_are_judged_without_loading_anything(tmp_path: Path) -> None:
    assert CrossEncoderScorer(tmp_path / "nowhere", device="cpu").score([]) == []


def test_labels_of_one_kind_are_refused(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="nothing to learn from"):
        train_cross_encoder(tmp_path, PAIRS[:1] * 3, encoder, epochs=1, seed=0, device="cpu")


def test_a_model_with_other_outputs_is_refused(encoder: Path, tmp_path: Path) -> None:
    from transformers import BertForSequenceClassification, BertTokenizerFast

    BertForSequenceClassification.from_pretrained(encoder, num_labels=3).save_pretrained(tmp_path)
    BertTokenizerFast.from_pretrained(encoder).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="3 outputs"):
        CrossEncoderScorer(tmp_path, device="cpu").score([PAIRS[0].pair])
