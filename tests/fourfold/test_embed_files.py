"""Prompts and dimension, told by a model's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fourfold.embed.dimension import read_dimension
from fourfold.embed.prompts import Prompts, choose_prompts, read_prompts
from fourfold.llm.weights import Weights, find_embedder
from fourfold.study import IndexSettings


def written(folder: Path, files: dict[str, object]) -> Weights:
    for name, held in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(held if isinstance(held, str) else json.dumps(held), encoding="utf-8")
    return Weights(name="m", folder=folder, digest="d")


@pytest.mark.parametrize(
    ("named", "prompts"),
    [
        ({"query": "query: ", "passage": "passage: "}, Prompts(query="query: ", passage="passage: ")),
        ({"query": "Find: ", "document": "title: none | "}, Prompts(query="Find: ", passage="title: none | ")),
        ({"query": "q", "document": "", "corpus": "c"}, Prompts(query="q", passage="c")),
        ({"query": "q", "document": "d", "passage": "p"}, Prompts(query="q", passage="d")),
        ({"clustering": "c"}, Prompts()),
        ({"query": None}, Prompts()),
        (["query"], Prompts()),
        (None, Prompts()),
    ],
)  # fmt: skip
def test_prompts_are_those_that_the_files_name(tmp_path: Path, named: object, prompts: Prompts) -> None:
    weights = written(tmp_path, {"config_sentence_transformers.json": {"prompts": named}})
    assert read_prompts(weights) == prompts


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_a_file_that_cannot_be_read_names_no_prompts(tmp_path: Path, text: str) -> None:
    assert read_prompts(written(tmp_path, {"config_sentence_transformers.json": text})) == Prompts()
    assert read_prompts(written(tmp_path / "none", {})) == Prompts()


def test_the_study_replaces_one_prompt_or_both_and_can_take_them_away(tmp_path: Path) -> None:
    weights = written(tmp_path, {"config_sentence_transformers.json": {"prompts": {"query": "q", "passage": "p"}}})
    assert choose_prompts(IndexSettings(), weights) == Prompts(query="q", passage="p")
    assert choose_prompts(IndexSettings(query_prompt="own: "), weights) == Prompts(query="own: ", passage="p")
    assert choose_prompts(IndexSettings(query_prompt="", passage_prompt=""), weights) == Prompts()
    assert choose_prompts(IndexSettings(passage_prompt="own: "), None) == Prompts(passage="own: ")


POOLING = {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
DENSE = {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}


@pytest.mark.parametrize(
    ("files", "dimension"),
    [
        ({"config.json": {"hidden_size": 32}}, 32),
        ({"modules.json": [{"path": ""}, POOLING], "1_Pooling/config.json": {"word_embedding_dimension": 64,
          "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}}, 64),
        ({"modules.json": [POOLING], "1_Pooling/config.json": {"word_embedding_dimension": 64,
          "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}}, 128),
        ({"modules.json": [POOLING], "1_Pooling/config.json": {"embedding_dimension": 64, "pooling_mode": "mean"}}, 64),
        ({"modules.json": [POOLING], "1_Pooling/config.json": {"embedding_dimension": 64,
          "pooling_mode": ["mean", "max", "cls"]}}, 192),
        ({"modules.json": [POOLING, DENSE], "1_Pooling/config.json": {"embedding_dimension": 64},
          "2_Dense/config.json": {"in_features": 64, "out_features": 16}}, 16),
        ({"modules.json": [POOLING]}, None),
        ({"config.json": "{"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_dimension_is_that_of_the_last_module_that_sets_one(
    tmp_path: Path, files: dict[str, object], dimension: int | None
) -> None:
    assert read_dimension(written(tmp_path, files)) == dimension


def test_the_dimension_is_the_one_that_sentence_transformers_gives() -> None:
    assert read_dimension(find_embedder("embedded")) == 384
