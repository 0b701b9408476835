"""GGUF files: a tiny Llama written as one, converted, and read as any other model."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tiny_gguf import write_tiny_gguf

from fourfold.errors import ModelError
from fourfold.llm.port import Message
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights, ensure_converted, find_language_model, is_converted
from fourfold.study import ModelSettings

PLAIN = ModelSettings(dtype="float32", quantisation="none")


def refused(file: Path, cache: Path) -> ModelError:
    with pytest.raises(ModelError) as error:
        ensure_converted(find_language_model(str(file), cache))
    assert error.value.what == "the GGUF file cannot be read"
    assert str(file) in str(error.value.seen)
    # Nothing half-made is left to be taken for a model.
    assert not any(cache.iterdir())
    return error.value


def test_a_gguf_file_becomes_the_model_that_it_was_made_of(tiny: Weights, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    found = find_language_model(str(write_tiny_gguf(tiny, tmp_path / "tiny.gguf")), tmp_path / "cache")
    assert not is_converted(found)
    ensure_converted(found)
    assert is_converted(found)
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny.folder, found.folder))
    assert before.keys() == after.keys()
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight.to(torch.bfloat16), rtol=0, atol=0)


def test_a_gguf_files_tokenizer_and_chat_template_come_along(tiny: Weights, tmp_path: Path) -> None:
    chat = (Message(role="system", content="Answer."), Message(role="user", content="the pump é 🚀\n\n  40 litres?"))
    found = find_language_model(str(write_tiny_gguf(tiny, tmp_path / "tiny.gguf")), tmp_path / "cache")
    one, other = (TorchEngine(weights, PLAIN, device="cpu") for weights in (tiny, found))
    assert one.encode([chat]) == other.encode([chat])
    assert other.context_tokens == 2048


@pytest.mark.parametrize(("architecture", "reason"), [("nonesuch", "architecture nonesuch"), ("mamba", "missing")])
def test_a_gguf_file_of_another_architecture_is_refused(
    tiny: Weights, tmp_path: Path, architecture: str, reason: str
) -> None:
    file = write_tiny_gguf(tiny, tmp_path / "other.gguf", architecture=architecture)
    assert reason in str(refused(file, tmp_path / "cache").seen)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.02, 0.5, 0.999])
def test_a_gguf_file_that_breaks_off_is_refused(tiny: Weights, tmp_path: Path, share: float) -> None:
    file = write_tiny_gguf(tiny, tmp_path / "cut.gguf")
    whole = file.read_bytes()
    file.write_bytes(whole[: max(4, int(share * len(whole)))])
    refused(file, tmp_path / "cache")
