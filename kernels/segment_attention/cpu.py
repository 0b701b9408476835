"""Segment attention on the CPU by PyTorch's fused attention: one call per segment and one per run that is read whole.

A query's runs are joined by their log-sum-exps. In the backward pass each call is given the joined output and
log-sum-exp: its weights are then the ones of the whole softmax, and its gradients are parts that add up.
Suffixes of one context stand side by side, so they read it in one call, whatever their lengths; nothing is copied.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from fourfold.kernels.segment_attention.table import SegmentTable
from fourfold.kernels.segment_attention.tiles import Span

# The public function gives no log-sum-exp, and joining runs needs it.
_attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001
_attend_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward  # noqa: SLF001

# Segments shorter than this are gathered by length into one call: 5,000 calls cost more than two copies.
GATHER_BELOW = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokens:
    """Spans of one length, as one batch of a fused call."""

    starts: tuple[int, ...]
    length: int

    @property
    def gathered(self) -> bool:
        # By length alone, so that a document is computed in one way whatever stands beside it.
        return self.length < GATHER_BELOW

    def places(self) -> torch.Tensor:
        return (torch.tensor(self.starts)[:, None] + torch.arange(self.length)).flatten()

    def take(self, x: torch.Tensor, group: int) -> torch.Tensor:
        """[n · H / group, group, length, D] of x [H, T, D]; a view where nothing is gathered."""
        if not self.gathered:
            return _slice(x, (self.starts[0], self.starts[0] + self.length), group)
        picked = x.index_select(1, self.places())
        by_span = picked.view(x.shape[0], len(self.starts), self.length, *x.shape[2:]).transpose(0, 1)
        return by_span.reshape(-1, group, self.length, *x.shape[2:])

    def put(self, x: torch.Tensor, values: torch.Tensor) -> None:
        """The reverse of `take`, in place; for x [H, T] too."""
        if not self.gathered:
            x.narrow(1, self.starts[0], self.length).copy_(values.flatten(0, 1))
            return
        values = values.reshape(len(self.starts), x.shape[0], *values.shape[2:])
        x.index_copy_(1, self.places(), values.transpose(0, 1).flatten(1, 2).to(x.dtype))


def run_forward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, table: SegmentTable, *, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The output and the log-sum-exp of the scores.

    Args:
        q: [Hq, T, D], the last dimension dense.
        k: [Hk, T, D], the same.
        v: [Hk, T, D], the same.
        table: of T tokens.
        scale: of the scores.

    Returns:
        Output [Hq, T, D], tokens outermost in memory, 0 for padding; log-sum-exp [Hq, T] in at least fp32.
    """
    n_heads, n_tokens, d = q.shape
    group = n_heads // k.shape[0]
    out = q.new_zeros(n_tokens, n_heads, d).transpose(0, 1)
    lse = q.new_zeros(n_heads, n_tokens, dtype=torch.promote_types(q.dtype, torch.float32))
    for tokens in _own_runs(table):
        part, part_lse = _attend(
            tokens.take(q, group), *(_expand(tokens.take(x, 1), group) for x in (k, v)), 0.0, True, scale=scale
        )
        tokens.put(out, part)
        tokens.put(lse, part_lse)
    for queries, keys in _whole_runs(table):
        part, part_lse = _attend(
            _slice(q, queries, group), *(_expand(_slice(x, keys, 1), group) for x in (k, v)), 0.0, False, scale=scale
        )
        so_far, so_far_lse = _slice(out, queries, group), _slice(lse, queries, group)
        joined = torch.logaddexp(so_far_lse, part_lse)
        own_share, part_share = ((x - joined).exp_()[..., None] for x in (so_far_lse, part_lse))
        so_far.copy_(so_far * own_share + part * part_share)
        so_far_lse.copy_(joined)
    return out, lse


def run_backward(
    do: torch.Tensor, saved: Sequence[torch.Tensor], table: SegmentTable, *, scale: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The gradients of q, k and v.

    Args:
        do: [Hq, T, D], gradient of the output, the last dimension dense.
        saved: q, k and v as in `run_forward`, and the two that it gave.
        table: of T tokens.
        scale: of the scores.

    Returns:
        dQ [Hq, T, D], dK and dV [Hk, T, D], 0 for padding.
    """
    q, k, v, out, lse = saved
    group = q.shape[0] // k.shape[0]
    # Parts of one gradient are summed in fp32; where each token has one part there is nothing to sum.
    shared = len(table.runs) > len(table.segments)
    dtype = torch.promote_types(q.dtype, torch.float32) if shared else q.dtype
    gradients = [x.new_zeros(x.shape[1], x.shape[0], x.shape[2], dtype=dtype).transpose(0, 1) for x in (q, k, v)]
    for tokens in _own_runs(table):
        query_side = [tokens.take(x, group) for x in (do, q, out, lse)]
        key_side = [_expand(tokens.take(x, 1), group) for x in (k, v)]
        for total, part in zip(gradients, _parts(query_side, key_side, scale, causal=True), strict=True):
            tokens.put(total, part)
    for queries, keys in _whole_runs(table):
        query_side = [_slice(x, queries, group) for x in (do, q, out, lse)]
        key_side = [_expand(_slice(x, keys, 1), group) for x in (k, v)]
        parts = _parts(query_side, key_side, scale, causal=False)
        for total, span, part in zip(gradients, (queries, keys, keys), parts, strict=True):
            total[:, span[0] : span[1]] += part.flatten(0, 1)
    dq, dk, dv = (gradient.to(q.dtype) for gradient in gradients)
    return dq, dk, dv


def _parts(
    query_side: Sequence[torch.Tensor], key_side: Sequence[torch.Tensor], scale: float, *, causal: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """dQ, dK and dV of one call, those of keys summed over the query heads that share a key head."""
    do, q, out, lse = query_side
    k, v = key_side
    dq, dk, dv = _attend_backward(do, q, k, v, out, lse, 0.0, causal, scale=scale)
    return dq, dk.sum(1, keepdim=True), dv.sum(1, keepdim=True)


def _own_runs(table: SegmentTable) -> Iterator[_Tokens]:
    by_length: dict[int, list[int]] = {}
    for start, end in table.segments.tolist():
        if end - start < GATHER_BELOW:
            by_length.setdefault(end - start, []).append(start)
        else:
            yield _Tokens(starts=(start,), length=end - start)
    for length, starts in by_length.items():
        yield _Tokens(starts=tuple(starts), length=length)


def _whole_runs(table: SegmentTable) -> Iterator[tuple[Span, Span]]:
    """(queries, keys) for each run that is read whole, readers that stand side by side taken together."""
    offsets = table.run_offsets.tolist()
    runs = table.runs.tolist()
    readers: dict[Span, list[Span]] = {}
    for (start, end), (first, last) in zip(table.segments.tolist(), itertools.pairwise(offsets), strict=True):
        for key_start, key_end, _ in runs[first : last - 1]:
            spans = readers.setdefault((key_start, key_end), [])
            if spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((start, end))
    for keys, spans in readers.items():
        for queries in spans:
            yield queries, keys


def _slice(x: torch.Tensor, span: Span, group: int) -> torch.Tensor:
    """[H / group, group, tokens, …] of x [H, T, …], a view."""
    return x[:, span[0] : span[1]].view(-1, group, span[1] - span[0], *x.shape[2:])


def _expand(x: torch.Tensor, group: int) -> torch.Tensor:
    """A key head under each of its query heads, without a copy."""
    return x.expand(-1, group, -1, -1)
