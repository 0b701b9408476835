"""Puts fused LoRA into a transformers model: sibling projections become parts of one group, by their names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from fourfold.kernels.arguments import require
from fourfold.kernels.lora_linear.op import lora_linear

# Projections of one input, in Llama's names, which Mistral, Qwen, Gemma and SmolLM share.
_SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


class LoraGroup(nn.Module):
    """Linear layers that read one input, frozen, with a trained low-rank update each.

    Args:
        layers: by their full names in the model.
        rank: of each update.
        alpha: the update is scaled by alpha / rank.
        generator: draws A as PEFT does (uniform, ± 1 / √H); B starts at 0.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, layers: dict[str, nn.Linear], *, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        held = list(layers.values())
        self.names = tuple(layers)
        self.rank = rank
        self.alpha = alpha
        self.register_buffer("weight", torch.cat([layer.weight.detach() for layer in held]), persistent=False)
        self.register_buffer("bias", _joined_biases(held), persistent=False)
        width, device = self.weight.shape[1], self.weight.device
        # float64 bases are for proofs; everything else is trained in float32, as PEFT does.
        dtype = torch.promote_types(self.weight.dtype, torch.float32)
        drawn = torch.rand((len(held) * rank, width), generator=generator, dtype=dtype) * 2 - 1
        self.down = nn.Parameter((drawn / math.sqrt(width)).to(device))
        self.ups = nn.ParameterList(
            torch.zeros((layer.out_features, rank), dtype=dtype, device=device) for layer in held
        )
        self._input: torch.Tensor | None = None
        self._ready: dict[int, torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The layers' outputs, each [..., O_j], of x [..., H]."""
        scale = self.alpha / self.rank
        return lora_linear(x, self.weight, self.bias, down=self.down, ups=tuple(self.ups), scale=scale)

    def take(self, number: int, x: torch.Tensor) -> torch.Tensor:
        """One layer's output; its siblings' are kept until they are taken for the same tensor."""
        if self._input is not x or number not in self._ready:
            self._input, self._ready = x, dict(enumerate(self(x)))
        output = self._ready.pop(number)
        if not self._ready:
            self._input = None
        return output


class _Part(nn.Module):
    """Stands where a linear layer stood."""

    def __init__(self, group: LoraGroup, number: int) -> None:
        super().__init__()
        # In a tuple, so that the group is the parent's module and not this one's as well.
        self._group = (group,)
        self._number = number

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._group[0].take(self._number, x)


def adapt(model: Any, *, rank: int, alpha: float, generator: torch.Generator) -> None:
    """Freeze a model and give every linear layer but the output head a low-rank update, in place.

    The model's classes and functions stay as they are; only its layers are exchanged. It computes what
    `get_peft_model(model, LoraConfig(target_modules="all-linear"))` computes.

    Args:
        model: a transformers causal language model with floating `nn.Linear` layers.
        rank: of each update.
        alpha: the update is scaled by alpha / rank.
        generator: on the CPU.

    Raises:
        ValueError: the model is adapted already, has no linear layers, or the rank is below 1.
    """
    require(rank > 0, "rank", seen=rank, expected="1 and more")
    require(not any(groups_of(model)), "model", seen="adapted already", expected="a base model")
    model.requires_grad_(False)
    head = model.get_output_embeddings()
    found = [(name, parent, _linears(parent, head)) for name, parent in model.named_modules()]
    require(any(layers for *_, layers in found), "model", seen="without nn.Linear", expected="linear layers to adapt")
    for prefix, parent, layers in found:
        for siblings in _grouped(list(layers)):
            full = {f"{prefix}.{name}" if prefix else name: layers[name] for name in siblings}
            group = LoraGroup(full, rank=rank, alpha=alpha, generator=generator)
            parent.add_module("lora_" + "_".join(name.removesuffix("_proj") for name in siblings), group)
            for number, name in enumerate(siblings):
                setattr(parent, name, _Part(group, number))


def groups_of(model: Any) -> Iterator[LoraGroup]:
    """A model's groups, in its order."""
    return (module for module in model.modules() if isinstance(module, LoraGroup))


def _linears(parent: nn.Module, head: object) -> dict[str, nn.Linear]:
    return {
        name: child for name, child in parent.named_children() if isinstance(child, nn.Linear) and child is not head
    }


def _grouped(names: list[str]) -> list[tuple[str, ...]]:
    """Siblings together where all are there, every other name alone."""
    together = [siblings for siblings in _SIBLINGS if set(siblings) <= set(names)]
    taken = {name for siblings in together for name in siblings}
    return [*together, *((name,) for name in names if name not in taken)]


def _joined_biases(layers: Sequence[nn.Linear]) -> torch.Tensor | None:
    if all(layer.bias is None for layer in layers):
        return None
    return torch.cat(
        [layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias.detach() for layer in layers]
    )
