"""Whether this machine can train as the study asks, told before anything is loaded."""

from __future__ import annotations

from fourfold.errors import ModelError
from fourfold.study import ModelSettings


def require_hardware(model: ModelSettings, *, device: str) -> None:
    """Refuse what would fail later with another's message.

    Args:
        model: its dtype.
        device: 'cpu', 'cuda' or 'cuda:N'.

    Raises:
        ModelError: bfloat16 on a GPU that has none.
    """
    if model.dtype == "bfloat16" and device.startswith("cuda") and not _has_bfloat16():
        raise ModelError(
            "this GPU does not compute in bfloat16",
            seen=f"model.dtype = bfloat16 on {device}",
            expected="a GPU of compute capability 8.0 or more, or float32",
            hint="set model.dtype to float32",
        )


def _has_bfloat16() -> bool:
    import torch

    # Emulated bfloat16 would run, many times slower.
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
