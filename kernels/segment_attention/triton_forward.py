"""Segment attention in Triton: the forward kernel, and the parts that the backward kernels share with it."""
# ruff: noqa: PLR0913, PLR0917 (a kernel takes every pointer and stride by itself)
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl

from fourfold.kernels.segment_attention.table import SegmentTable

# Triton was imported to run on the CPU, as TRITON_INTERPRET=1 says.
INTERPRETED: tl.constexpr = tl.constexpr(bool(triton.knobs.runtime.interpret))


@triton.jit
def product(a, b):
    """The matrix product, summed in fp32."""
    if INTERPRETED:
        # It multiplies bf16 as the integers that hold their bits. Products of two 16-bit floats are exact in fp32.
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    # Full fp32 products: TF32 has 10 bits of mantissa and misses the error budget.
    return tl.dot(a, b, input_precision="ieee")


@triton.jit
def load_rows(
    base,
    rows,
    end,
    token_stride,
    dim_stride,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    BOUND: tl.constexpr,
):
    """[len(rows), D_PAD] of one head; 0 beyond D, and beyond `end` where BOUND says that rows may lie there."""
    dims = tl.arange(0, D_PAD)
    # 64 bits: a row's place times its stride passes 2^31 at 524,288 tokens of 32 heads of 128.
    at = base + rows.to(tl.int64)[:, None] * token_stride + dims[None, :] * dim_stride
    if BOUND:
        block = tl.load(at, mask=(rows < end)[:, None] & (dims < D)[None, :], other=0.0)
    elif D_PAD != D:
        block = tl.load(at, mask=(dims < D)[None, :], other=0.0)
    else:
        block = tl.load(at)
    return block


@triton.jit
def store_rows(base, rows, end, token_stride, block, D: tl.constexpr, D_PAD: tl.constexpr):
    """Store [len(rows), D_PAD] to one head whose last dimension is dense, without what lies beyond D or `end`."""
    dims = tl.arange(0, D_PAD)
    at = base + rows.to(tl.int64)[:, None] * token_stride + dims[None, :]
    tl.store(at, block.to(base.dtype.element_ty), mask=(rows < end)[:, None] & (dims < D)[None, :])


@triton.jit
def visible_scores(q, k, scale_log2, rows, columns, end, BOUND: tl.constexpr, CAUSAL: tl.constexpr):
    """Scores in base 2, [len(rows), len(columns)]; -inf where a key is hidden or beyond `end`."""
    scores = product(q, tl.trans(k)) * scale_log2
    if CAUSAL:
        scores = tl.where((columns[None, :] <= rows[:, None]) & (columns < end)[None, :], scores, float("-inf"))
    elif BOUND:
        scores = tl.where((columns < end)[None, :], scores, float("-inf"))
    return scores


@triton.jit
def _attend(
    output,
    peak,
    total,
    q,
    K,
    V,
    scale_log2,
    rows,
    start,
    end,
    k_token,
    k_dim,
    v_token,
    v_dim,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    BLOCK: tl.constexpr,
    BOUND: tl.constexpr,
    CAUSAL: tl.constexpr,
):
    """One block of keys into the running softmax."""
    columns = start + tl.arange(0, BLOCK)
    k = load_rows(K, columns, end, k_token, k_dim, D, D_PAD, BOUND)
    scores = visible_scores(q, k, scale_log2, rows, columns, end, BOUND, CAUSAL)
    # Finite from the first block on: its first key is seen by every row.
    new_peak = tl.maximum(peak, tl.max(scores, 1))
    weights = tl.exp2(scores - new_peak[:, None])
    decay = tl.exp2(peak - new_peak)
    v = load_rows(V, columns, end, v_token, v_dim, D, D_PAD, BOUND)
    output = output * decay[:, None] + product(weights.to(v.dtype), v)
    return output, new_peak, total * decay + tl.sum(weights, 1)


@triton.jit
def _forward(
    Q,
    K,
    V,
    OUT,
    LSE,
    segments,
    run_offsets,
    runs,
    query_tiles,
    n_tokens,
    scale_log2,
    q_head,
    q_token,
    q_dim,
    k_head,
    k_token,
    k_dim,
    v_head,
    v_token,
    v_dim,
    out_head,
    out_token,
    GROUP: tl.constexpr,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    head = tl.program_id(1)
    segment = tl.load(query_tiles + 2 * tl.program_id(0))
    first = tl.load(query_tiles + 2 * tl.program_id(0) + 1)
    own_start = tl.load(segments + 2 * segment)
    end = tl.load(segments + 2 * segment + 1)
    K += (head // GROUP).to(tl.int64) * k_head
    V += (head // GROUP).to(tl.int64) * v_head
    rows = first + tl.arange(0, TILE)
    q = load_rows(Q + head.to(tl.int64) * q_head, rows, end, q_token, q_dim, D, D_PAD, True)
    peak = tl.full([TILE], float("-inf"), tl.float32)
    total = tl.zeros([TILE], tl.float32)
    output = tl.zeros([TILE, D_PAD], tl.float32)
    for run in range(tl.load(run_offsets + segment), tl.load(run_offsets + segment + 1)):
        run_start = tl.load(runs + 3 * run)
        run_end = tl.load(runs + 3 * run + 1)
        # Of its own run a tile sees whole what precedes it; the tile itself follows below.
        run_end = tl.where(run_start == own_start, first, run_end)
        whole_end = run_start + (run_end - run_start) // BLOCK * BLOCK
        for start in range(run_start, whole_end, BLOCK):
            output, peak, total = _attend(
                output, peak, total, q, K, V, scale_log2, rows, start, run_end, k_token, k_dim, v_token, v_dim,
                D, D_PAD, BLOCK, False, False,
            )  # fmt: skip
        if whole_end < run_end:
            output, peak, total = _attend(
                output, peak, total, q, K, V, scale_log2, rows, whole_end, run_end, k_token, k_dim, v_token, v_dim,
                D, D_PAD, BLOCK, True, False,
            )  # fmt: skip
    for start in range(first, tl.minimum(first + TILE, end), BLOCK):
        output, peak, total = _attend(
            output, peak, total, q, K, V, scale_log2, rows, start, end, k_token, k_dim, v_token, v_dim,
            D, D_PAD, BLOCK, True, True,
        )  # fmt: skip
    store_rows(OUT + head.to(tl.int64) * out_head, rows, end, out_token, output / total[:, None], D, D_PAD)
    tl.store(LSE + head.to(tl.int64) * n_tokens + rows, peak + tl.log2(total), mask=rows < end)


def key_block(dtype: torch.dtype, tile: int) -> int:
    """Tokens that the kernels step by. Set after the tutorials' kernels for Hopper; not measured by us yet."""
    return min(tile, 32 if dtype == torch.float32 else 64)


def n_warps(tile: int) -> int:
    """A warp group (4) for every 64 rows of a tile."""
    return 8 if tile == 128 else 4


def run_forward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, table: SegmentTable, *, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The output and what the backward pass needs of the softmax.

    Args:
        q: [Hq, T, D], any strides.
        k: [Hk, T, D].
        v: [Hk, T, D].
        table: of T tokens.
        scale: of the scores.

    Returns:
        The output [Hq, T, D], tokens outermost in memory, and the base-2 logarithm of the sum of 2^(score · log2 e),
        fp32 [Hq, T], undefined for padding.
    """
    out = empty_like_tokens(q, table)
    lse = q.new_empty(q.shape[0], table.n_tokens, dtype=torch.float32)
    n_heads, _, d = q.shape
    _forward[(len(table.query_tiles), n_heads)](
        q, k, v, out, lse, table.segments, table.run_offsets, table.runs, table.query_tiles, table.n_tokens,
        scale * math.log2(math.e), *q.stride(), *k.stride(), *v.stride(), *out.stride()[:2],
        GROUP=n_heads // k.shape[0], D=d, D_PAD=triton.next_power_of_2(d), TILE=table.tile,
        BLOCK=key_block(q.dtype, table.tile), num_warps=n_warps(table.tile),
    )  # fmt: skip
    return out, lse


def empty_like_tokens(x: torch.Tensor, table: SegmentTable) -> torch.Tensor:
    """[H, T, D] like `x`, tokens outermost in memory; zeros if there is padding, which no kernel writes."""
    n_heads, n_tokens, d = x.shape
    make = x.new_empty if table.n_used == table.n_tokens else x.new_zeros
    return make(n_tokens, n_heads, d).transpose(0, 1)
