"""The specification of segment attention: eager, differentiable, in any floating dtype, one segment after another."""

from __future__ import annotations

import itertools

import torch

from fourfold.kernels.segment_attention.table import SegmentTable


def reference_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, table: SegmentTable, *, scale: float
) -> torch.Tensor:
    """softmax(scale · q kᵀ) v over what each query sees, 0 for padding.

    Scores are rounded to q's dtype and their softmax is taken in at least fp32, as transformers' eager attention does.
    Takes memory for one segment's scores at a time, but keeps all of them for the backward pass.

    Args:
        q: [Hq, T, D].
        k: [Hk, T, D]; query head h reads key head h // (Hq / Hk).
        v: [Hk, T, D].
        table: of T tokens.
        scale: of the scores.

    Returns:
        [Hq, T, D].
    """
    group = q.shape[0] // k.shape[0]
    k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
    segments = table.segments.tolist()
    runs, offsets = table.runs.tolist(), table.run_offsets.tolist()
    # Split once: a slice for each segment would give each of them a gradient as long as the row.
    cuts = list(itertools.pairwise([0, *itertools.chain.from_iterable(segments), table.n_tokens]))
    pieces = [dict(zip(cuts, torch.split(x, [b - a for a, b in cuts], 1), strict=True)) for x in (q, k, v)]
    queries, keys, values = ({cut[0]: piece for cut, piece in by_cut.items() if piece.shape[1]} for by_cut in pieces)
    outputs = {start: torch.zeros_like(piece) for start, piece in queries.items()}
    for (start, end), (first, last) in zip(segments, itertools.pairwise(offsets), strict=True):
        read = [run_start for run_start, _, _ in runs[first:last]]
        seen = torch.cat([keys[at] for at in read], 1)
        # Its own run is the last, and the only one that hides anything.
        hidden = torch.ones(end - start, seen.shape[1], dtype=torch.bool, device=q.device)
        hidden = hidden.triu(seen.shape[1] - (end - start) + 1)
        scores = (queries[start] @ seen.transpose(1, 2) * scale).masked_fill(hidden, float("-inf"))
        weights = torch.softmax(scores, -1, dtype=torch.promote_types(q.dtype, torch.float32)).to(q.dtype)
        outputs[start] = weights @ torch.cat([values[at] for at in read], 1)
    return torch.cat(list(outputs.values()), 1)
