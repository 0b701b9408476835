from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.tuned import PLAIN, ROUNDED, changed, train
from transformers import LlamaConfig, LlamaForCausalLM

from fourfold.llm.port import Adapter
from fourfold.llm.weights import Weights, find_language_model
from fourfold.study import ModelSettings


@pytest.fixture(scope="session")
def tuned(tiny: Weights, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Adapter]:
    """An adapter of a method on the tiny model, trained once."""
    made: dict[str, Adapter] = {}

    def of(method: str = "lora") -> Adapter:
        if method not in made:
            folder: Path = tmp_path_factory.mktemp(method)
            model: ModelSettings = PLAIN if method == "full" else ROUNDED
            trained = train(folder, tiny, changed(method=method, learning_rate=0.1), model=model)
            made[method] = Adapter(folder=folder, digest=trained.digest)
        return made[method]

    return of


@pytest.fixture(scope="session")
def wide(tiny: Weights, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """The tiny model with layers of 64 numbers, which bitsandbytes' kernels ask for."""
    folder = shutil.copytree(tiny.folder, tmp_path_factory.mktemp("wide") / "model")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(LlamaConfig(**{**config, "hidden_size": 64, "head_dim": 16})).save_pretrained(folder)
    return find_language_model(str(folder), folder)


@pytest.fixture(scope="session")
def tuned_wide(wide: Weights, tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    folder = tmp_path_factory.mktemp("tuned-wide")
    trained = train(folder, wide, changed(learning_rate=0.1), model=ROUNDED)
    return Adapter(folder=folder, digest=trained.digest)
