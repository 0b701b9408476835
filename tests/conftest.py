from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.tiny import make_tiny_model

from fourfold.llm.weights import Weights

# Tests reach no hub; a model that would be fetched fails at once.
os.environ["HF_HUB_OFFLINE"] = "1"
# Before anything imports Triton, as bitsandbytes does: without a GPU its kernels run under the interpreter.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """A tiny random model as a local folder."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real inputs, outside the repository."""
    folder = os.environ.get("FOURFOLD_TEST_DATA")
    if not folder:
        pytest.skip("FOURFOLD_TEST_DATA is unset: the real inputs are not part of the repository")
    return Path(folder)
