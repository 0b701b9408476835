"""The one form in which kernels refuse an argument: its name, the value seen, what is allowed."""

from __future__ import annotations

import torch


def require(allowed: bool, argument: str, *, seen: object, expected: str) -> None:
    """Refuse an argument that is not allowed.

    Raises:
        ValueError: it is not.
    """
    if not allowed:
        raise ValueError(f"{argument} is {seen}; allowed: {expected}")


def describe(value: torch.Tensor) -> str:
    """A tensor as refusals name it: dtype, shape and device."""
    return f"{value.dtype} {list(value.shape)} on {value.device}"
