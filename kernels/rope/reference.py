"""The specification, in plain PyTorch; also the CPU's way, where its few operations are bound by memory alike."""

from __future__ import annotations

import torch


def rotate_reference(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Each pair (x_i, x_{i + D/2}) turned by its token's angle.

    Args:
        x: [B, H, T, D].
        cos: [B, 1, T, D/2], float32 or float64.
        sin: the same.

    Returns:
        [B, H, T, D] in x's dtype, rounded once.
    """
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x.dtype)
