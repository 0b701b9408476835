"""Rotary position embedding of queries and keys together, at positions that are given.

Source: Su et al. 2021 (RoFormer, arXiv 2104.09864), equation 34, in the half-split order of Llama's weights. Where we
differ from transformers' `apply_rotary_pos_emb`: positions may repeat and jump (a shared context's suffixes all start
where it ends), angles come from a table, and narrow dtypes are rounded once instead of four times.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import torch

from fourfold.kernels.arguments import describe, require
from fourfold.kernels.rope.reference import rotate_reference

Implementation = Literal["triton", "cpu"]


class Turn(Protocol):
    """Turns queries and keys by their angles, or back by them."""

    def __call__(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        positions: torch.Tensor,
        *,
        back: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the shapes and dtypes of q and k."""


def rope(
    q: torch.Tensor,
    k: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    positions: torch.Tensor,
    *,
    impl: Implementation,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys turned to their positions; gradients are turned back.

    Args:
        q: [B, Hq, T, D], float64, float32, bfloat16 or float16, any strides; D even.
        k: [B, Hk, T, D], same dtype and device.
        cos: [P, D/2], float32 or float64: the cosine of each position's angles, times the model's attention scaling.
        sin: likewise.
        positions: int32 or int64 [B, T], 0 to P - 1; checked on the CPU only, since a check would stop a GPU.
        impl: 'triton' (CUDA, or the interpreter) or 'cpu' (PyTorch, any device).

    Raises:
        ValueError: an argument that is not allowed.
    """
    _require_heads(q, k)
    _require_tables(q, cos, sin, positions)
    turned: tuple[torch.Tensor, torch.Tensor] = _Rope.apply(q, k, cos, sin, positions, _turn_of(impl, q))  # type: ignore[no-untyped-call]
    return turned


class _Rope(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 (autograd hands over positional arguments)
        ctx: Any,
        q: torch.Tensor,
        k: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        positions: torch.Tensor,
        turn: Turn,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.save_for_backward(cos, sin, positions)
        ctx.turn = turn
        return turn(q, k, cos, sin, positions, back=False)

    @staticmethod
    def backward(ctx: Any, d_q: torch.Tensor, d_k: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return (*ctx.turn(d_q, d_k, *ctx.saved_tensors, back=True), None, None, None, None)


def _turn_in_torch(
    q: torch.Tensor,
    k: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    positions: torch.Tensor,
    *,
    back: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    cos, sin = (table[positions.long()][:, None] for table in (cos, sin))
    sin = -sin if back else sin
    return rotate_reference(q, cos, sin), rotate_reference(k, cos, sin)


def _turn_of(impl: Implementation, q: torch.Tensor) -> Turn:
    if impl == "cpu":
        return _turn_in_torch
    require(impl == "triton", "impl", seen=repr(impl), expected="'triton' or 'cpu'")
    require(q.dtype != torch.float64, "q", seen="float64", expected="float32 or narrower with impl='triton'")
    from fourfold.kernels.rope import triton_rope

    require(
        q.is_cuda or triton_rope.is_interpreted(),
        "q",
        seen=f"on {q.device}",
        expected="a CUDA tensor with impl='triton' (a CPU tensor only in Triton's interpreter)",
    )
    return triton_rope.turn


def _require_heads(q: torch.Tensor, k: torch.Tensor) -> None:
    require(
        q.ndim == 4 and q.shape[-1] % 2 == 0 and q.is_floating_point(),
        "q",
        seen=describe(q),
        expected="floating [B, Hq, T, D], D even",
    )
    B, _, T, D = q.shape
    require(
        k.ndim == 4 and (k.shape[0], *k.shape[2:]) == (B, T, D) and (k.dtype, k.device) == (q.dtype, q.device),
        "k",
        seen=describe(k),
        expected=f"{q.dtype} [{B}, Hk, {T}, {D}] on {q.device}",
    )


def _require_tables(q: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, positions: torch.Tensor) -> None:
    B, _, T, D = q.shape
    for argument, table in (("cos", cos), ("sin", sin)):
        require(
            table.ndim == 2
            and table.shape == cos.shape
            and table.shape[1] == D // 2
            and table.dtype in {torch.float32, torch.float64}
            and table.device == q.device,
            argument,
            seen=describe(table),
            expected=f"float32 or float64 [P, {D // 2}] on {q.device}, both alike",
        )
    require(
        positions.shape == (B, T) and positions.dtype in {torch.int32, torch.int64} and positions.device == q.device,
        "positions",
        seen=describe(positions),
        expected=f"int32 or int64 [{B}, {T}] on {q.device}",
    )
    if not positions.is_cuda:
        wrong = positions[(positions < 0) | (positions >= len(cos))]
        require(wrong.numel() == 0, "positions", seen=wrong[:3].tolist(), expected=f"0 to {len(cos) - 1}")
