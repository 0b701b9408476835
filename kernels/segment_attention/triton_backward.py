"""Segment attention in Triton: the backward kernels.

FlashAttention-2's split (Dao 2023, arXiv:2307.08691, algorithm 2) without its atomics: dQ goes over query tiles, dK and
dV over key tiles by the reverse table. Every sum has one fixed order, so equal inputs give equal bits.
"""
# ruff: noqa: PLR0913, PLR0917 (a kernel takes every pointer and stride by itself)
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import triton
import triton.language as tl

from fourfold.kernels.segment_attention.table import SegmentTable
from fourfold.kernels.segment_attention.triton_forward import (
    empty_like_tokens,
    key_block,
    load_rows,
    n_warps,
    product,
    store_rows,
    visible_scores,
)


@triton.jit
def _add_to_dq(
    dq,
    q,
    do,
    lse,
    delta,
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
    columns = start + tl.arange(0, BLOCK)
    k = load_rows(K, columns, end, k_token, k_dim, D, D_PAD, BOUND)
    v = load_rows(V, columns, end, v_token, v_dim, D, D_PAD, BOUND)
    scores = visible_scores(q, k, scale_log2, rows, columns, end, BOUND, CAUSAL)
    weights = tl.exp2(scores - lse[:, None])
    d_weights = product(do, tl.trans(v))
    d_scores = weights * (d_weights - delta[:, None])
    return dq + product(d_scores.to(k.dtype), k)


@triton.jit
def _backward_q(
    Q,
    K,
    V,
    OUT,
    DO,
    LSE,
    DELTA,
    DQ,
    segments,
    run_offsets,
    runs,
    query_tiles,
    n_tokens,
    scale,
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
    do_head,
    do_token,
    do_dim,
    out_head,
    out_token,
    GROUP: tl.constexpr,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The dQ of one query tile; also Σ dO · O of its rows, which the other kernel reads."""
    head = tl.program_id(1).to(tl.int64)
    segment = tl.load(query_tiles + 2 * tl.program_id(0))
    first = tl.load(query_tiles + 2 * tl.program_id(0) + 1)
    own_start = tl.load(segments + 2 * segment)
    end = tl.load(segments + 2 * segment + 1)
    K += (head // GROUP) * k_head
    V += (head // GROUP) * v_head
    rows = first + tl.arange(0, TILE)
    q = load_rows(Q + head * q_head, rows, end, q_token, q_dim, D, D_PAD, True)
    do = load_rows(DO + head * do_head, rows, end, do_token, do_dim, D, D_PAD, True)
    out = load_rows(OUT + head * out_head, rows, end, out_token, 1, D, D_PAD, True)
    delta = tl.sum(do.to(tl.float32) * out.to(tl.float32), 1)
    tl.store(DELTA + head * n_tokens + rows, delta, mask=rows < end)
    lse = tl.load(LSE + head * n_tokens + rows, mask=rows < end, other=0.0)
    dq = tl.zeros([TILE, D_PAD], tl.float32)
    for run in range(tl.load(run_offsets + segment), tl.load(run_offsets + segment + 1)):
        run_start = tl.load(runs + 3 * run)
        run_end = tl.load(runs + 3 * run + 1)
        run_end = tl.where(run_start == own_start, first, run_end)
        whole_end = run_start + (run_end - run_start) // BLOCK * BLOCK
        for start in range(run_start, whole_end, BLOCK):
            dq = _add_to_dq(
                dq, q, do, lse, delta, K, V, scale_log2, rows, start, run_end, k_token, k_dim, v_token, v_dim,
                D, D_PAD, BLOCK, False, False,
            )  # fmt: skip
        if whole_end < run_end:
            dq = _add_to_dq(
                dq, q, do, lse, delta, K, V, scale_log2, rows, whole_end, run_end, k_token, k_dim, v_token, v_dim,
                D, D_PAD, BLOCK, True, False,
            )  # fmt: skip
    for start in range(first, tl.minimum(first + TILE, end), BLOCK):
        dq = _add_to_dq(
            dq, q, do, lse, delta, K, V, scale_log2, rows, start, end, k_token, k_dim, v_token, v_dim,
            D, D_PAD, BLOCK, True, True,
        )  # fmt: skip
    store_rows(DQ + head * out_head, rows, end, out_token, dq * scale, D, D_PAD)


@triton.jit
def _add_to_dkv(
    dk,
    dv,
    k,
    v,
    Q,
    DO,
    LSE,
    DELTA,
    scale_log2,
    columns,
    start,
    end,
    q_token,
    q_dim,
    do_token,
    do_dim,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    BLOCK: tl.constexpr,
    CAUSAL: tl.constexpr,
):
    """One block of queries; those beyond `end` load dO = 0 and Δ = 0 and so add nothing."""
    rows = start + tl.arange(0, BLOCK)
    q = load_rows(Q, rows, end, q_token, q_dim, D, D_PAD, True)
    do = load_rows(DO, rows, end, do_token, do_dim, D, D_PAD, True)
    lse = tl.load(LSE + rows, mask=rows < end, other=0.0)
    delta = tl.load(DELTA + rows, mask=rows < end, other=0.0)
    scores = product(k, tl.trans(q)) * scale_log2
    if CAUSAL:
        scores = tl.where(columns[:, None] <= rows[None, :], scores, float("-inf"))
    weights = tl.exp2(scores - lse[None, :])
    dv += product(weights.to(do.dtype), do)
    d_weights = product(v, tl.trans(do))
    d_scores = weights * (d_weights - delta[None, :])
    dk += product(d_scores.to(q.dtype), q)
    return dk, dv


@triton.jit
def _backward_kv(
    Q,
    K,
    V,
    DO,
    LSE,
    DELTA,
    DK,
    DV,
    DK_PARTS,
    DV_PARTS,
    key_items,
    key_entries,
    n_tokens,
    scale,
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
    do_head,
    do_token,
    do_dim,
    dk_head,
    dk_token,
    GROUP: tl.constexpr,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The dK and dV of one key tile and key head, or one part of them, from all query heads that read it."""
    item = key_items + 5 * tl.program_id(0)
    key_head = tl.program_id(1).to(tl.int64)
    first = tl.load(item)
    last = tl.load(item + 1)
    slot = tl.load(item + 4)
    columns = first + tl.arange(0, TILE)
    k = load_rows(K + key_head * k_head, columns, last, k_token, k_dim, D, D_PAD, True)
    v = load_rows(V + key_head * v_head, columns, last, v_token, v_dim, D, D_PAD, True)
    dk = tl.zeros([TILE, D_PAD], tl.float32)
    dv = tl.zeros([TILE, D_PAD], tl.float32)
    for head in range(key_head * GROUP, key_head * GROUP + GROUP):
        for entry in range(tl.load(item + 2), tl.load(item + 3)):
            start = tl.load(key_entries + 3 * entry)
            end = tl.load(key_entries + 3 * entry + 1)
            # Queries beyond the tile's last key see all of it, causal or not.
            causal_end = tl.where(tl.load(key_entries + 3 * entry + 2) == 1, tl.minimum(last, end), start)
            whole_start = start + (tl.maximum(causal_end - start, 0) + BLOCK - 1) // BLOCK * BLOCK
            for at in range(start, causal_end, BLOCK):
                dk, dv = _add_to_dkv(
                    dk, dv, k, v, Q + head * q_head, DO + head * do_head, LSE + head * n_tokens,
                    DELTA + head * n_tokens, scale_log2, columns, at, end, q_token, q_dim, do_token, do_dim,
                    D, D_PAD, BLOCK, True,
                )  # fmt: skip
            for at in range(whole_start, end, BLOCK):
                dk, dv = _add_to_dkv(
                    dk, dv, k, v, Q + head * q_head, DO + head * do_head, LSE + head * n_tokens,
                    DELTA + head * n_tokens, scale_log2, columns, at, end, q_token, q_dim, do_token, do_dim,
                    D, D_PAD, BLOCK, False,
                )  # fmt: skip
    if slot < 0:
        store_rows(DK + key_head * dk_head, columns, last, dk_token, dk * scale, D, D_PAD)
        store_rows(DV + key_head * dk_head, columns, last, dk_token, dv, D, D_PAD)
    else:
        base = (slot * tl.num_programs(1) + key_head) * TILE * D
        store_rows(DK_PARTS + base, columns - first, last - first, D, dk * scale, D, D_PAD)
        store_rows(DV_PARTS + base, columns - first, last - first, D, dv, D, D_PAD)


@triton.jit
def _sum_parts(
    DK,
    DV,
    DK_PARTS,
    DV_PARTS,
    split_tiles,
    dk_head,
    dk_token,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    TILE: tl.constexpr,
):
    """The parts of one key tile and key head, summed in fp32 in the order of their slots."""
    tile = split_tiles + 4 * tl.program_id(0)
    key_head = tl.program_id(1).to(tl.int64)
    first = tl.load(tile)
    last = tl.load(tile + 1)
    places = tl.arange(0, TILE)
    dk = tl.zeros([TILE, D_PAD], tl.float32)
    dv = tl.zeros([TILE, D_PAD], tl.float32)
    for slot in range(tl.load(tile + 2), tl.load(tile + 3)):
        base = (slot * tl.num_programs(1) + key_head) * TILE * D
        dk += load_rows(DK_PARTS + base, places, last - first, D, 1, D, D_PAD, True)
        dv += load_rows(DV_PARTS + base, places, last - first, D, 1, D, D_PAD, True)
    store_rows(DK + key_head * dk_head, first + places, last, dk_token, dk, D, D_PAD)
    store_rows(DV + key_head * dk_head, first + places, last, dk_token, dv, D, D_PAD)


def run_backward(
    do: torch.Tensor, saved: Sequence[torch.Tensor], table: SegmentTable, *, scale: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The gradients of q, k and v.

    Args:
        do: [Hq, T, D], gradient of the output, any strides.
        saved: q, k and v as in `run_forward`, and the two that it gave.
        table: of T tokens.
        scale: of the scores.

    Returns:
        dQ [Hq, T, D], dK and dV [Hk, T, D], 0 for padding, tokens outermost in memory.
    """
    q, k, v, out, lse = saved
    dq, dk, dv = (empty_like_tokens(x, table) for x in (q, k, v))
    delta = torch.empty_like(lse)
    (n_heads, _, d), n_key_heads = q.shape, k.shape[0]
    scale_log2 = scale * math.log2(math.e)
    sizes = {"D": d, "D_PAD": triton.next_power_of_2(d), "TILE": table.tile, "num_warps": n_warps(table.tile)}
    sizes_by_block = {**sizes, "GROUP": n_heads // n_key_heads, "BLOCK": key_block(q.dtype, table.tile)}
    strides = (*q.stride(), *k.stride(), *v.stride(), *do.stride())
    _backward_q[(len(table.query_tiles), n_heads)](
        q, k, v, out, do, lse, delta, dq, table.segments, table.run_offsets, table.runs, table.query_tiles,
        table.n_tokens, scale, scale_log2, *strides, *out.stride()[:2], **sizes_by_block,
    )  # fmt: skip
    parts = q.new_empty(2, table.n_slots, n_key_heads, table.tile, d, dtype=torch.float32)
    _backward_kv[(len(table.key_items), n_key_heads)](
        q, k, v, do, lse, delta, dk, dv, parts[0], parts[1], table.key_items, table.key_entries,
        table.n_tokens, scale, scale_log2, *strides, *dk.stride()[:2], **sizes_by_block,
    )  # fmt: skip
    if table.n_slots:
        grid = (len(table.split_tiles), n_key_heads)
        _sum_parts[grid](dk, dv, parts[0], parts[1], table.split_tiles, *dk.stride()[:2], **sizes)
    return dq, dk, dv
