"""RoPE in Triton: one program turns a few tokens' queries and keys; the backward pass turns them back."""
# ruff: noqa: PLR0913, PLR0917 (a kernel takes every pointer and stride by itself)
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import torch
import triton
import triton.language as tl

# Elements of one head block held at once: 16 KiB in float32.
_BLOCK = 4096


@triton.jit
def _turn_heads(
    read, write, cos, sin, head_stride, n_heads, inside, HALF: tl.constexpr, HEADS: tl.constexpr, WIDTH: tl.constexpr
):
    heads = tl.arange(0, HEADS)[None, :, None]
    pairs = tl.arange(0, WIDTH)[None, None, :]
    inside = inside & (heads < n_heads)
    read += heads * head_stride + pairs
    first = tl.load(read, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(read + HALF, mask=inside, other=0.0).to(tl.float32)
    write += heads * (2 * HALF) + pairs
    tl.store(write, (first * cos - second * sin).to(write.dtype.element_ty), mask=inside)
    tl.store(write + HALF, (second * cos + first * sin).to(write.dtype.element_ty), mask=inside)


@triton.jit
def _turn_tokens(
    Q, K, Q_out, K_out, Cos, Sin, Positions, n_tokens, n_all,
    q_batch, q_head, q_token, k_batch, k_head, k_token, n_query_heads, n_key_heads, direction,
    HALF: tl.constexpr, WIDTH: tl.constexpr, QUERY_HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    place = (tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)).to(tl.int64)[:, None, None]
    pairs = tl.arange(0, WIDTH)[None, None, :]
    inside = (place < n_all) & (pairs < HALF)
    batch, token = place // n_tokens, place % n_tokens
    angle = tl.load(Positions + place, mask=place < n_all, other=0) * HALF + pairs
    cos = tl.load(Cos + angle, mask=inside, other=0.0).to(tl.float32)
    sin = tl.load(Sin + angle, mask=inside, other=0.0).to(tl.float32) * direction
    q = Q + batch * q_batch + token * q_token
    k = K + batch * k_batch + token * k_token
    # What is written lies [B, T, H, D].
    q_out = Q_out + place * n_query_heads * (2 * HALF)
    k_out = K_out + place * n_key_heads * (2 * HALF)
    _turn_heads(q, q_out, cos, sin, q_head, n_query_heads, inside, HALF, QUERY_HEADS, WIDTH)
    _turn_heads(k, k_out, cos, sin, k_head, n_key_heads, inside, HALF, KEY_HEADS, WIDTH)


def turn(
    q: torch.Tensor,
    k: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    positions: torch.Tensor,
    *,
    back: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `op.Turn`; the results' memory is laid out [B, T, H, D], as a model's projections are."""
    B, n_query_heads, T, D = q.shape
    n_key_heads = k.shape[1]
    q, k = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k))
    q_out = torch.empty((B, T, n_query_heads, D), dtype=q.dtype, device=q.device)
    k_out = torch.empty((B, T, n_key_heads, D), dtype=k.dtype, device=k.device)
    if B * T:
        width, query_heads = triton.next_power_of_2(D // 2), triton.next_power_of_2(n_query_heads)
        n_each = max(1, _BLOCK // (width * query_heads))
        _turn_tokens[(triton.cdiv(B * T, n_each),)](
            q, k, q_out, k_out, cos.contiguous(), sin.contiguous(), positions.contiguous(), T, B * T,
            *q.stride()[:3], *k.stride()[:3], n_query_heads, n_key_heads, -1.0 if back else 1.0,
            HALF=D // 2, WIDTH=width,
            QUERY_HEADS=query_heads, KEY_HEADS=triton.next_power_of_2(n_key_heads), TOKENS=n_each,
        )  # fmt: skip
    return q_out.transpose(1, 2), k_out.transpose(1, 2)


def is_interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, which takes tensors on the CPU."""
    return not isinstance(_turn_tokens, triton.JITFunction)
