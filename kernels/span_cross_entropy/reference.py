"""The specification: whole logits, differentiated by autograd, in any floating dtype."""

from __future__ import annotations

import torch

from fourfold.kernels.span_cross_entropy.targets import SpanTargets


def span_nll_reference(
    hidden: torch.Tensor, head_weight: torch.Tensor, targets: SpanTargets
) -> tuple[torch.Tensor, torch.Tensor]:
    """Negative log-likelihood of each target and the log-sum-exp of its logits (nats).

    `nll_k = lse_k - x_k . w_t` with `x_k = hidden[rows[k]]`, `t = tokens[k]`, `lse_k = log sum_v exp(x_k . w_v)`.

    Args:
        hidden: [T, H].
        head_weight: [V, H], same dtype.
        targets: K targets.

    Returns:
        Both [K], float64 where the input is, else float32.
    """
    logits = hidden[targets.rows] @ head_weight.T
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    lse = logits.logsumexp(dim=-1)
    return lse - logits.gather(1, targets.tokens[:, None])[:, 0], lse
