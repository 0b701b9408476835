"""Frozen linear layers over one input with a low-rank update each, as one autograd function.

Source: Hu et al. 2021 (LoRA, arXiv 2106.09685), equation 3, without dropout. Where we differ from PEFT's layers: the
frozen weights of layers that read the same input are one matrix and so are their A, so that q, k and v cost one product
each way instead of three; the update is added in place; A and B may be float32 beside narrower weights, and products
are then made in the weights' dtype, as PEFT does under autocast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from fourfold.kernels.arguments import describe, require


def lora_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    down: torch.Tensor,
    ups: Sequence[torch.Tensor],
    scale: float,
) -> tuple[torch.Tensor, ...]:
    """The outputs of n layers.

    Args:
        x: [..., H].
        weight: [O_1 + … + O_n, H], x's dtype; frozen.
        bias: [O_1 + … + O_n] or None; frozen.
        down: [n r, H]; the layers' A, one under another, of any floating dtype.
        ups: n matrices B [O_j, r].
        scale: of the update, alpha / r.

    Returns:
        n tensors [..., O_j], views of one.

    Raises:
        ValueError: an argument that is not allowed.
    """
    _require_arguments(x, weight, bias, down, ups)
    outputs: tuple[torch.Tensor, ...] = _LoraLinear.apply(x, weight, bias, scale, down, *ups)  # type: ignore[no-untyped-call]
    return outputs


class _LoraLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        scale: float,
        down: torch.Tensor,
        *ups: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        rows = x.reshape(-1, x.shape[-1])
        y = rows @ weight.T if bias is None else torch.addmm(bias, rows, weight.T)
        inner = rows @ down.to(x.dtype).T
        sizes = [len(up) for up in ups]
        for part, inner_part, up in zip(torch.split(y, sizes, 1), inner.chunk(len(ups), 1), ups, strict=True):
            part.addmm_(inner_part, up.to(x.dtype).T, alpha=scale)
        ctx.save_for_backward(rows, inner, weight, down, *ups)
        ctx.shape, ctx.scale = x.shape, scale
        outputs: tuple[torch.Tensor, ...] = torch.split(y.view(*x.shape[:-1], len(weight)), sizes, -1)
        return outputs

    @staticmethod
    def backward(ctx: Any, *d_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, inner, weight, down, *ups = ctx.saved_tensors
        d_parts = [d.reshape(len(rows), d.shape[-1]) for d in d_outputs]
        d_inner = torch.cat([d @ (up.to(d.dtype) * ctx.scale) for d, up in zip(d_parts, ups, strict=True)], dim=1)
        d_x = None
        if ctx.needs_input_grad[0]:
            d_y = torch.cat(d_parts, dim=1) if len(d_parts) > 1 else d_parts[0]
            d_x = (d_y @ weight).addmm_(d_inner, down.to(d_y.dtype)).view(ctx.shape)
        d_down = (d_inner.T @ rows).to(down.dtype)
        d_ups = [
            (d.T @ inner_part).mul_(ctx.scale).to(up.dtype)
            for d, inner_part, up in zip(d_parts, inner.chunk(len(ups), 1), ups, strict=True)
        ]
        return d_x, None, None, None, d_down, *d_ups


def _require_arguments(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, down: torch.Tensor, ups: Sequence[torch.Tensor]
) -> None:
    require(x.ndim > 1 and x.is_floating_point(), "x", seen=describe(x), expected="floating [..., H]")
    require(
        weight.ndim == 2
        and weight.shape[1] == x.shape[-1]
        and (weight.dtype, weight.device) == (x.dtype, x.device)
        and not weight.requires_grad,
        "weight",
        seen=describe(weight),
        expected=f"{x.dtype} [O, {x.shape[-1]}] on {x.device}, frozen",
    )
    if bias is not None:
        require(
            bias.shape == weight.shape[:1] and bias.dtype == x.dtype and not bias.requires_grad,
            "bias",
            seen=describe(bias),
            expected=f"None, or {x.dtype} [{len(weight)}], frozen",
        )
    require(len(ups) > 0, "ups", seen="empty", expected="one matrix a layer")
    ranks = sorted({up.shape[-1] for up in ups})
    require(
        len(ranks) == 1 and all(up.ndim == 2 for up in ups) and sum(map(len, ups)) == len(weight),
        "ups",
        seen=[list(up.shape) for up in ups],
        expected=f"[O_j, r] of one rank r, {len(weight)} rows together",
    )
    shape = (len(ups) * ranks[0], x.shape[-1])
    require(tuple(down.shape) == shape, "down", seen=describe(down), expected=f"floating {list(shape)}")
