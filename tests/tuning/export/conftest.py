from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.tiny import make_tiny_model
from support.tuned import PLAIN, changed, train

from fourfold.llm.port import Adapter
from fourfold.llm.weights import Weights


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """A tiny model whose logits differ by whole units, so that a wrong layer or scale shows."""
    return make_tiny_model(tmp_path_factory.mktemp("base") / "model", spread=0.3)


@pytest.fixture(scope="session")
def lora(base: Weights, tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    folder = tmp_path_factory.mktemp("lora")
    trained = train(folder, base, changed(learning_rate=0.1), model=PLAIN)
    return Adapter(folder=folder, digest=trained.digest)


@pytest.fixture(scope="session")
def rslora(lora: Adapter, tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    """The same matrices under rsLoRA's scale."""
    return _configured(lora, tmp_path_factory.mktemp("rslora"), use_rslora=True)


@pytest.fixture(scope="session")
def dora(lora: Adapter, tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    """What its configuration calls DoRA."""
    return _configured(lora, tmp_path_factory.mktemp("dora"), use_dora=True)


def _configured(adapter: Adapter, folder: Path, **fields: bool) -> Adapter:
    copy = shutil.copytree(adapter.folder, folder / "adapter")
    file = copy / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **fields}), encoding="utf-8")
    return Adapter(folder=copy, digest=folder.name)
