"""`segment_attention`: one differentiable function, three implementations, none replaced by another."""

from __future__ import annotations

import importlib
from typing import Any, Literal, get_args

import torch
from torch.autograd.function import once_differentiable

from fourfold.kernels.segment_attention.reference import reference_attention
from fourfold.kernels.segment_attention.table import SegmentTable

Implementation = Literal["triton", "cpu", "reference"]
_DTYPES = {
    "triton": (torch.bfloat16, torch.float16, torch.float32),
    "cpu": (torch.bfloat16, torch.float16, torch.float32, torch.float64),
    "reference": (torch.bfloat16, torch.float16, torch.float32, torch.float64),
}


def segment_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, table: SegmentTable, *, scale: float, impl: Implementation
) -> torch.Tensor:
    """Attention of each segment over itself, causally, and over the segments that it reads, whole.

    Equal inputs give equal bits, forward and backward, and with `triton` a group's output does not depend on what
    stands beside it. Dropout, soft-cap, windows, sinks and masks are not part of it.

    Args:
        q: [Hq, T, D], any strides.
        k: [Hk, T, D], Hq a multiple of Hk; query head h reads key head h // (Hq / Hk).
        v: [Hk, T, D].
        table: who sees whom among the T tokens, on q's device.
        scale: of the scores, usually D ** -0.5.
        impl: `triton` (bf16, fp16, fp32; D a multiple of 8 from 32 to 128; on a GPU, or on the CPU under Triton's
            interpreter), `cpu` (also fp64; any D), `reference` (the specification, also fp64, any D and device).

    Returns:
        [Hq, T, D] in q's dtype, tokens outermost in memory (`reference` aside); 0 for padding.

    Raises:
        ValueError: an argument is not as said here; names it, its value and what is allowed.
    """
    _check(q, k, v, table, impl)
    if impl == "reference":
        return reference_attention(q, k, v, table, scale=scale)
    if impl == "cpu":
        q, k, v = (_dense(x) for x in (q, k, v))
    out: torch.Tensor = _SegmentAttention.apply(q, k, v, table, scale, impl)  # type: ignore[no-untyped-call]
    return out


class _SegmentAttention(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 (autograd hands over positional arguments)
        ctx: Any,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        table: SegmentTable,
        scale: float,
        impl: Implementation,
    ) -> torch.Tensor:
        forward, _ = _passes(impl)
        out: torch.Tensor
        out, lse = forward(q, k, v, table, scale=scale)
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.table, ctx.scale, ctx.impl = table, scale, impl
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        _, backward = _passes(ctx.impl)
        do = _dense(do) if ctx.impl == "cpu" else do
        return (*backward(do, ctx.saved_tensors, ctx.table, scale=ctx.scale), None, None, None)


def _passes(impl: Implementation) -> tuple[Any, Any]:
    # Triton is imported where it is asked for: it is not there on every machine, nor is its interpreter's switch.
    names = ("triton_forward", "triton_backward") if impl == "triton" else ("cpu", "cpu")
    forward, backward = (importlib.import_module(f"fourfold.kernels.segment_attention.{name}") for name in names)
    return forward.run_forward, backward.run_backward


def _dense(x: torch.Tensor) -> torch.Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


def _check(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, table: SegmentTable, impl: Implementation) -> None:
    if impl not in get_args(Implementation):
        raise ValueError(f"impl = {impl!r}: must be one of {', '.join(get_args(Implementation))}")
    _check_shapes(q, k, v, table)
    for name, x in (("q", q), ("k", k), ("v", v)):
        if x.dtype not in _DTYPES[impl]:
            raise ValueError(f"{name} is {x.dtype}: {impl} takes {', '.join(map(str, _DTYPES[impl]))}")
        if x.dtype != q.dtype:
            raise ValueError(f"{name} is {x.dtype}: must be {q.dtype} as q is")
        if x.device != q.device:
            raise ValueError(f"{name} is on {x.device}: must be on {q.device} as q is")
    if table.segments.device != q.device:
        raise ValueError(f"table is on {table.segments.device}: must be on {q.device} as q is; move it with table.to")
    if impl == "cpu" and q.device.type != "cpu":
        raise ValueError(f"q is on {q.device}: impl='cpu' takes tensors on the CPU")
    if impl == "triton":
        _check_triton(q)


def _check_shapes(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, table: SegmentTable) -> None:
    for name, x in (("q", q), ("k", k), ("v", v)):
        if x.ndim != 3:
            raise ValueError(f"{name} has shape {tuple(x.shape)}: must be [heads, tokens, head size]")
        if x.shape[1] != table.n_tokens:
            raise ValueError(f"{name} has {x.shape[1]} tokens: must have the table's {table.n_tokens}")
        if x.shape[2] != q.shape[2]:
            raise ValueError(f"{name} has head size {x.shape[2]}: must have {q.shape[2]} as q has")
    if k.shape != v.shape:
        raise ValueError(f"v has shape {tuple(v.shape)}: must have k's, {tuple(k.shape)}")
    if not k.shape[0] or q.shape[0] % k.shape[0]:
        raise ValueError(f"k has {k.shape[0]} heads: must divide q's {q.shape[0]}")


def _check_triton(q: torch.Tensor) -> None:
    d = q.shape[2]
    if not 32 <= d <= 128 or d % 8:
        raise ValueError(f"q has head size {d}: impl='triton' takes multiples of 8 from 32 to 128")
    if q.device.type == "cuda":
        return
    from fourfold.kernels.segment_attention.triton_forward import INTERPRETED

    if not INTERPRETED.value:
        raise ValueError(f"q is on {q.device}: impl='triton' needs a GPU; on the CPU take impl='cpu'")
