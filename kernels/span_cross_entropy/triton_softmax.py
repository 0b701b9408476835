"""Softmax of one chunk of logits in Triton: one program a row reads it twice and leaves the gradient in its place."""
# ruff: noqa: PLR0913, PLR0917 (a kernel takes every pointer and stride by itself)
# mypy: allow-untyped-decorators, allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import torch
import triton
import triton.language as tl

# Elements of a row held at once: 16 KiB in float32, which 8 warps keep in registers.
_BLOCK = 4096


@triton.jit
def _softmax_row(Logits, Tokens, Nll, Lse, row_stride, n_columns, GRADIENT: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    # 64 bit: a chunk of a large vocabulary passes 2^31 elements.
    start = Logits + row.to(tl.int64) * row_stride
    token = tl.load(Tokens + row)
    target = tl.load(start + token).to(tl.float32)
    columns = tl.arange(0, BLOCK)
    highest = tl.full([BLOCK], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    for offset in range(0, n_columns, BLOCK):
        inside = offset + columns < n_columns
        x = tl.load(start + offset + columns, mask=inside, other=float("-inf")).to(tl.float32)
        # Lane by lane: one reduction a row instead of one a block. A lane that has seen only -inf keeps a sum of 0.
        higher = tl.maximum(highest, x)
        shift = tl.where(higher == float("-inf"), 0.0, higher)
        total = total * tl.exp(highest - shift) + tl.exp(x - shift)
        # A NaN stays in the sum, whatever the maximum makes of it.
        highest = higher
    top = tl.max(highest, axis=0)
    top = tl.where(top == float("-inf"), 0.0, top)
    shift = tl.where(highest == float("-inf"), top, highest)
    lse = top + tl.log(tl.sum(total * tl.exp(shift - top), axis=0))
    tl.store(Lse + row, lse)
    tl.store(Nll + row, lse - target)
    if GRADIENT:
        for offset in range(0, n_columns, BLOCK):
            at = offset + columns
            inside = at < n_columns
            x = tl.load(start + at, mask=inside, other=0.0).to(tl.float32)
            gradient = tl.exp(x - lse) - tl.where(at == token, 1.0, 0.0)
            tl.store(start + at, gradient.to(Logits.dtype.element_ty), mask=inside)


def softmax_chunk(
    logits: torch.Tensor, tokens: torch.Tensor, *, gradient: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """As `op.SoftmaxChunk`."""
    n_rows, n_columns = logits.shape
    nll = torch.empty(n_rows, dtype=torch.float32, device=logits.device)
    lse = torch.empty_like(nll)
    if n_rows:
        block = min(_BLOCK, triton.next_power_of_2(n_columns))
        _softmax_row[(n_rows,)](
            logits, tokens, nll, lse, logits.stride(0), n_columns, GRADIENT=gradient, BLOCK=block, num_warps=8
        )
    return nll, lse, logits if gradient else None


def is_interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, which takes tensors on the CPU."""
    return not isinstance(_softmax_row, triton.JITFunction)
