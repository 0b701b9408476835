"""The two plans of attention over ragged rows: reading prompts, and writing one token a row.

Shapes: H heads of dimension D, Hk of them for keys and values, G = Hq / Hk; T tokens of one row, R rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fourfold.llm.kv_cache import Piece, RowCache, Store

if TYPE_CHECKING:
    import torch

# Queries at a time: a smaller block hides less of what is later, a larger one has longer matrix products.
BLOCK = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One row's tokens in a pass: what they look back on, and where their keys and values go."""

    token_ids: Sequence[int]
    start: int = 0
    past: tuple[Piece, ...] = ()
    store: Store | None = None


class Prefill:
    """Each segment sees its past and itself, causally."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments
        self.longest = max(segment.start + len(segment.token_ids) for segment in segments)

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        """See `attention.Plan`."""
        import torch

        out = query.new_empty((query.shape[1], query.shape[0], value.shape[2]))
        end = 0
        for segment in self.segments:
            start, end = end, end + len(segment.token_ids)
            keys, values = key[:, start:end], value[:, start:end]
            if segment.store is not None:
                segment.store.write(layer, keys, values)
            if segment.past:
                keys = torch.cat([*(piece.keys[layer] for piece in segment.past), keys], dim=1)
                values = torch.cat([*(piece.values[layer] for piece in segment.past), values], dim=1)
            attend = attend_fused if query.is_cuda else attend_in_blocks
            seen = attend(query[:, start:end], keys, values, scaling)
            out[start:end] = seen.transpose(0, 1)
        return out


def attend_in_blocks(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float) -> torch.Tensor:
    """Causal attention of the last tokens of one row by matrix products, for CPUs.

    torch's fused kernel takes 2.5 times as long there (bf16, 580 tokens, 9 heads of 64 over 3: 17.9 ms against 7.3).

    Args:
        query: [Hq, T, D].
        key: [Hk, S, D], S ≥ T; queries stand at the last T of the S places.
        value: [Hk, S, D].
        scaling: of the scores.

    Returns:
        [Hq, T, D].
    """
    heads, n_past = key.shape[0], key.shape[1] - query.shape[1]
    grouped = query.view(heads, -1, *query.shape[1:])
    transposed = key.transpose(1, 2)
    out = grouped.new_empty(grouped.shape)
    later = query.new_full((BLOCK, BLOCK), float("-inf")).triu_(1)
    for start in range(0, query.shape[1], BLOCK):
        end = min(start + BLOCK, query.shape[1])
        some = grouped[:, :, start:end]
        n_seen = n_past + end
        scores = _scores(some.flatten(1, 2), transposed[:, :, :n_seen], scaling).view(*some.shape[:3], n_seen)
        scores[..., n_past + start :] += later[: end - start, : end - start]
        weights = scores.softmax(dim=-1).flatten(1, 2)
        out[:, :, start:end] = weights.bmm(value[:, :n_seen]).view(some.shape)
    return out.flatten(0, 1)


def attend_fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float) -> torch.Tensor:
    """What `attend_in_blocks` computes, by torch's fused kernels."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    n_new, n_past = query.shape[1], key.shape[1] - query.shape[1]
    grouped = query.view(key.shape[0], -1, *query.shape[1:])
    mask = None
    if n_past and n_new > 1:
        mask = torch.ones((n_new, n_past + n_new), dtype=torch.bool, device=query.device).tril(n_past)
    return scaled_dot_product_attention(
        grouped,
        # Stride 0 along the group: keys and values are read where they are.
        key[:, None].expand(-1, grouped.shape[1], -1, -1),
        value[:, None].expand(-1, grouped.shape[1], -1, -1),
        attn_mask=mask,
        is_causal=not n_past and n_new > 1,
        scale=scaling,
    ).flatten(0, 1)


def _scores(query: torch.Tensor, transposed: torch.Tensor, scaling: float) -> torch.Tensor:
    """Scaled before they are rounded to the dtype: [B, T, S] of [B, T, D] and [B, D, S]."""
    return query.new_empty(1).baddbmm(query, transposed, beta=0, alpha=scaling)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Rows that decode together: what all look back on (None: nothing) and their own keys and values."""

    prefix: Piece | None
    cache: RowCache


class Decode:
    """One new token a row: it sees its group's prefix, held once, and its own past."""

    def __init__(self, groups: Sequence[Shared], *, longest: int) -> None:
        self.groups = groups
        self.longest = longest

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        """See `attention.Plan`."""
        import torch

        queries, keys, values = (tensor.transpose(0, 1) for tensor in (query, key, value))
        out = []
        end = 0
        for group in self.groups:
            start, end = end, end + group.cache.n_rows
            group.cache.append(layer, keys[start:end], values[start:end])
            grouped = queries[start:end].view(end - start, key.shape[0], -1, query.shape[2])
            out.append(_attend_one(grouped, group, layer, scaling).flatten(1, 2))
        return torch.cat(out) if len(out) > 1 else out[0]


def _attend_one(query: torch.Tensor, group: Shared, layer: int, scaling: float) -> torch.Tensor:
    """Attention [R, Hk, G, D] of one query a row [R, Hk, G, D]; the group's prefix is read once for all rows."""
    import torch

    n_rows, heads, n_grouped, _ = query.shape
    keys = group.cache.keys[layer][:n_rows].flatten(0, 1)
    values = group.cache.values[layer][:n_rows].flatten(0, 1)
    scores = _scores(query.flatten(0, 1), keys.transpose(1, 2), scaling).view(n_rows, heads, n_grouped, -1)
    scores += group.cache.mask(query)
    if group.prefix is None:
        weights = scores.softmax(dim=-1)
        return weights.flatten(0, 1).bmm(values).view(query.shape)
    before = _scores(query.transpose(0, 1).flatten(1, 2), group.prefix.keys[layer].transpose(1, 2), scaling)
    n_shared = before.shape[2]
    before = before.view(heads, n_rows, n_grouped, n_shared).transpose(0, 1)
    weights = torch.cat([before, scores], dim=-1).softmax(dim=-1)
    of_prefix, of_own = weights[..., :n_shared], weights[..., n_shared:]
    by_prefix = of_prefix.transpose(0, 1).flatten(1, 2).bmm(group.prefix.values[layer])
    by_own = of_own.flatten(0, 1).bmm(values)
    return by_prefix.view(heads, n_rows, n_grouped, -1).transpose(0, 1) + by_own.view(query.shape)
