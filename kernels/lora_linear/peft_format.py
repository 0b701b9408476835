"""Adapters in PEFT's form, both ways: what is trained here can be served by anything that reads PEFT's files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from fourfold.kernels.arguments import require
from fourfold.kernels.lora_linear.group import groups_of

_PREFIX = "base_model.model."


def adapter_state(model: Any) -> dict[str, torch.Tensor]:
    """The adapter's matrices (detached, no copies) by PEFT's names.

    Raises:
        ValueError: the model is not adapted.
    """
    state = dict(_matrices(model))
    require(bool(state), "model", seen="without LoRA groups", expected="a model after `adapt`")
    return state


def load_adapter_state(model: Any, state: Mapping[str, torch.Tensor]) -> None:
    """Set an adapted model's matrices.

    Args:
        model: after `adapt` with the adapter's rank and alpha.
        state: what `adapter_model.safetensors` or PEFT's `get_peft_model_state_dict` holds.

    Raises:
        ValueError: names or shapes that are not the model's.
    """
    held = adapter_state(model)
    other = sorted(held.keys() ^ state.keys())
    require(not other, "state", seen=f"{other[:3]} on one side only", expected=f"the model's {len(held)} matrices")
    for name, matrix in held.items():
        require(
            state[name].shape == matrix.shape,
            f"state[{name!r}]",
            seen=list(state[name].shape),
            expected=str(list(matrix.shape)),
        )
        matrix.copy_(state[name])


def save_adapter(model: Any, folder: Path, *, base_name: str) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json` as PEFT reads them.

    Args:
        model: after `adapt`.
        folder: is made where it is missing.
        base_name: what the configuration names as the base.

    Raises:
        ValueError: the model is not adapted.
        OSError: the folder cannot be written.
    """
    from peft import LoraConfig
    from safetensors.torch import save_file

    state = adapter_state(model)
    groups = list(groups_of(model))
    config = LoraConfig(
        r=groups[0].rank,
        lora_alpha=groups[0].alpha,
        target_modules=sorted({name.rpartition(".")[2] for group in groups for name in group.names}),
        task_type="CAUSAL_LM",
        base_model_name_or_path=base_name,
        inference_mode=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: matrix.contiguous() for name, matrix in state.items()},
        folder / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    config.save_pretrained(folder)


def _matrices(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    for group in groups_of(model):
        for name, down, up in zip(group.names, torch.split(group.down.detach(), group.rank), group.ups, strict=True):
            yield f"{_PREFIX}{name}.lora_A.weight", down
            yield f"{_PREFIX}{name}.lora_B.weight", up.detach()
