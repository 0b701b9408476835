from __future__ import annotations

import pytest

from fourfold.evals.judge.family import family_of, same_family


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("SmolLM2-135M-Instruct", "smollm"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "qwen"),
        ("Qwen2.5-0.5B", "qwen"),
        ("mistralai/Mixtral-8x7B", "mistral"),
        ("gpt-4o-mini", "gpt"),
        ("01-ai/Yi-6B", "yi"),
        ("debian-adapter", None),
        ("my-yielding-model", None),
        ("", None),
    ],
)
def test_the_family_is_read_from_the_name(name: str, family: str | None) -> None:
    assert family_of(name) == family


def test_one_model_is_of_its_own_family_and_unknown_names_are_not_known() -> None:
    assert same_family("debian", "debian") is True
    assert same_family("debian", "Qwen2.5-7B") is None
    assert same_family("qwen2.5:0.5b", "Qwen/Qwen3-8B") is True
    assert same_family("gemma-3-4b", "Qwen/Qwen3-8B") is False
