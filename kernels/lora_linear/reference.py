"""The specification: each layer by itself, as PEFT computes it, differentiated by autograd."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional


def lora_linear_reference(
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor | None],
    adapters: Sequence[tuple[torch.Tensor, torch.Tensor]],
    *,
    scale: float,
) -> tuple[torch.Tensor, ...]:
    """`y_j = x W_j' + b_j + scale (x A_j') B_j'` for each layer j (Hu et al. 2021, arXiv 2106.09685, equation 3).

    Args:
        x: [..., H].
        weights: each [O_j, H].
        biases: each [O_j] or None.
        adapters: each (A_j [r, H], B_j [O_j, r]).
        scale: alpha / r.

    Returns:
        Each [..., O_j].
    """
    return tuple(
        functional.linear(x, weight, bias) + functional.linear(functional.linear(x, down), up) * scale
        for weight, bias, (down, up) in zip(weights, biases, adapters, strict=True)
    )
