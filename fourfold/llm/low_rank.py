"""LoRA beside linear layers, added where their output stands: what PEFT computes, in two multiplications.

Source: Hu et al. 2021 (LoRA, arXiv 2106.09685), equation 3: y = W x + (alpha / r) B A x. Where we differ from PEFT: A
and B are held in the model's own dtype with alpha / r multiplied into B, and the product is added to y in place. PEFT
holds them in float32, converts every input and goes over every output three times more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_PREFIX = "base_model.model."
# A setting of PEFT's that would make the update another one than that of the formula, and the values that do not.
_PLAIN: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "fan_in_fan_out": (False,),
    "use_dora": (False, None),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "lora_bias": (False, None),
    "trainable_token_indices": (None,),
    "layer_replication": (None,),
    "target_parameters": (None, []),
}


def is_plain(folder: Path) -> bool:
    """Whether an adapter is LoRA (or rank-stabilised LoRA) and nothing more.

    Raises:
        OSError: there is no adapter.
        ValueError: its configuration is no JSON.
    """
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    return all(config.get(name) in values or name not in config for name, values in _PLAIN.items())


class LowRank:
    """One adapter's matrices, by the layer that they belong to.

    Args:
        model: the transformers model; its layers stay as they are.
        folder: a PEFT adapter for which `is_plain` holds.

    Raises:
        ValueError: it is none of this model.
        OSError: it is not there.
    """

    def __init__(self, model: Any, folder: Path) -> None:
        from safetensors.torch import load_file

        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        rank = config["r"]
        scale = config["lora_alpha"] / (math.sqrt(rank) if config.get("use_rslora") else rank)
        held = load_file(folder / "adapter_model.safetensors", device=str(model.device))
        self._layers: list[tuple[torch.nn.Module, torch.Tensor, torch.Tensor]] = []
        for name in sorted(name.removesuffix(".lora_A.weight") for name in held if name.endswith(".lora_A.weight")):
            down, up = held.pop(f"{name}.lora_A.weight"), held.pop(f"{name}.lora_B.weight", None)
            if down.shape[0] != rank:
                raise ValueError(f"{name} is of rank {down.shape[0]}, its configuration says {rank}")
            self._layers.append(_fitted(model, name.removeprefix(_PREFIX), down, up, scale))
        if held or not self._layers:
            raise ValueError(f"unknown weights: {', '.join(sorted(held)[:3]) or 'none at all'}")

    @contextmanager
    def active(self) -> Iterator[None]:
        """While open, the layers give their output with the update added."""
        hooks = [layer.register_forward_hook(_adding(down, up)) for layer, down, up in self._layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _fitted(
    model: Any, name: str, down: torch.Tensor, up: torch.Tensor | None, scale: float
) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """The layer with A transposed, [in, r], and B transposed times the scale, [r, out]."""
    try:
        layer = model.get_submodule(name)
    except AttributeError as error:
        raise ValueError(f"the model has no {name}") from error
    weight: torch.Tensor = layer.weight
    if up is None or (up.shape[0], down.shape[1]) != tuple(weight.shape) or up.shape[1] != down.shape[0]:
        raise ValueError(f"{name} is of shape {tuple(weight.shape)}, the adapter's matrices are not")
    return layer, down.to(weight.dtype).T.contiguous(), (up.float() * scale).to(weight.dtype).T.contiguous()


def _adding(down: torch.Tensor, up: torch.Tensor) -> Any:
    def add(_layer: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        (x,) = inputs
        output.view(-1, output.shape[-1]).addmm_(x.reshape(-1, x.shape[-1]) @ down, up)
        return output

    return add
