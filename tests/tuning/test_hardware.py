from __future__ import annotations

import pytest
import torch

from fourfold.errors import ModelError
from fourfold.study import ModelSettings
from fourfold.tuning.hardware import require_hardware


def test_a_gpu_without_bfloat16_is_told_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    with pytest.raises(ModelError, match="bfloat16 on cuda:1") as caught:
        require_hardware(ModelSettings(), device="cuda:1")
    assert caught.value.hint == "set model.dtype to float32"
    require_hardware(ModelSettings(dtype="float32"), device="cuda")
    require_hardware(ModelSettings(), device="cpu")
