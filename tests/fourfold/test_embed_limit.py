from __future__ import annotations

import json
from pathlib import Path

import pytest

from fourfold.embed.limit import max_input_tokens
from fourfold.embed.sentence import SentenceEmbedder
from fourfold.llm.weights import Weights, find_embedder


def test_the_limit_read_from_files_is_the_one_that_the_loaded_embedder_has() -> None:
    weights = find_embedder("embedded")
    assert max_input_tokens(weights) == SentenceEmbedder(weights, device="cpu").max_tokens == 256


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"sentence_bert_config.json": {"max_seq_length": 128}, "config.json": {"max_position_embeddings": 512}}, 128),
        ({"0_Transformer/sentence_bert_config.json": {"max_seq_length": 128}}, 128),
        # RoBERTa counts two positions that no token can have.
        ({"config.json": {"max_position_embeddings": 514}, "tokenizer_config.json": {"model_max_length": 512}}, 512),
        # What transformers writes for "no limit".
        ({"config.json": {"max_position_embeddings": 512}, "tokenizer_config.json": {"model_max_length": 1e30}}, 512),
        ({"sentence_bert_config.json": {"max_seq_length": None}, "config.json": {"max_position_embeddings": 64}}, 64),
        ({}, None),
    ],
)
def test_without_a_limit_of_its_own_the_model_s_and_the_tokenizer_s_count(
    tmp_path: Path, files: dict[str, object], limit: int | None
) -> None:
    for name, held in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(held), encoding="utf-8")
    assert max_input_tokens(Weights(name="e", folder=tmp_path, digest="0")) == limit
