"""Linear cross-entropy with a frozen head: log-likelihoods and the gradient to the hidden states, chunk by chunk.

The gradient of each target's NLL to its hidden state, (softmax - onehot) W, is made while its logits are at hand, so
that no logits outlive their chunk and nothing is multiplied twice: 4 K H V operations, where a trained head costs 6.
It is linear in what comes from above, so that any function of the NLLs can be differentiated, CIT's too.

Differs from Liger-Kernel's fused linear cross-entropy in: per-token NLLs that carry gradients, no gradient to the head,
and rows of weight 0, which are not multiplied at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch

from fourfold.kernels.arguments import describe, require
from fourfold.kernels.span_cross_entropy.reference import span_nll_reference
from fourfold.kernels.span_cross_entropy.targets import SpanTargets

Implementation = Literal["triton", "cpu", "reference"]

# Logits of a chunk, bytes in float32: enough rows for a full matrix product, 1/16 of what 8k rows of 128k logits take.
_CHUNK_BYTES = {"cpu": 64 * 2**20, "cuda": 256 * 2**20}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLoss:
    """What K targets cost, nats.

    Attributes:
        loss: scalar; sum over targets of weight times NLL, 0 where there are no targets.
        nll: [K]; each carries its gradient to the hidden states.
        lse: [K]; the log-sum-exp of each target's logits, without gradient.
    """

    loss: torch.Tensor
    nll: torch.Tensor
    lse: torch.Tensor


class SoftmaxChunk(Protocol):
    """Turns logits into log-likelihoods and, where asked, their gradient; may overwrite them."""

    def __call__(
        self, logits: torch.Tensor, tokens: torch.Tensor, *, gradient: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """NLL [c], log-sum-exp [c] and softmax minus one-hot [c, V] of logits [c, V] and tokens [c]."""


def span_cross_entropy(
    hidden: torch.Tensor,
    head_weight: torch.Tensor,
    targets: SpanTargets,
    *,
    impl: Implementation,
    chunk_rows: int | None = None,
) -> SpanLoss:
    """The weighted loss of the targets and the NLL of each.

    Args:
        hidden: [T, H], float64, float32, bfloat16 or float16; T is the targets' `n_rows`.
        head_weight: [V, H], same dtype and device, without gradient; logits are `hidden @ head_weight.T` and nothing
            more: a model with a bias, a soft-cap or a scale on its logits must be refused before.
        targets: on the same device.
        impl: 'triton' (CUDA, or the interpreter), 'cpu' (PyTorch, any device) or 'reference' (whole logits).
        chunk_rows: targets whose logits exist at a time; None for about 64 MiB on a CPU, 256 MiB on a GPU.

    Returns:
        float64 where the input is, else float32.

    Raises:
        ValueError: an argument that is not allowed.
    """
    _require_arguments(hidden, head_weight, targets, chunk_rows)
    if impl == "reference":
        nll, lse = span_nll_reference(hidden, head_weight, targets)
    else:
        rows = chunk_rows or max(1, _CHUNK_BYTES.get(hidden.device.type, 2**26) // (4 * targets.n_vocabulary))
        nll, lse = _SpanNll.apply(hidden, head_weight, targets.rows, targets.tokens, _softmax_of(impl, hidden), rows)  # type: ignore[no-untyped-call]
    return SpanLoss(loss=(nll * targets.weights.to(nll.dtype)).sum(), nll=nll, lse=lse.detach())


class _SpanNll(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 (autograd hands over positional arguments)
        ctx: Any,
        hidden: torch.Tensor,
        head_weight: torch.Tensor,
        rows: torch.Tensor,
        tokens: torch.Tensor,
        softmax_chunk: SoftmaxChunk,
        chunk_rows: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        gradient = ctx.needs_input_grad[0]
        wide = torch.promote_types(hidden.dtype, torch.float32)
        nll, lse = (torch.empty(len(rows), dtype=wide, device=hidden.device) for _ in range(2))
        slopes = hidden.new_empty((len(rows), hidden.shape[1])) if gradient else None
        for start in range(0, len(rows), chunk_rows):
            chunk = slice(start, start + chunk_rows)
            logits = hidden[rows[chunk]] @ head_weight.T
            nll[chunk], lse[chunk], steps = softmax_chunk(logits, tokens[chunk], gradient=gradient)
            if slopes is not None:
                assert steps is not None
                torch.mm(steps, head_weight, out=slopes[chunk])
        ctx.save_for_backward(rows, slopes)
        ctx.shape = hidden.shape
        ctx.mark_non_differentiable(lse)
        return nll, lse

    @staticmethod
    def backward(ctx: Any, d_nll: torch.Tensor, _d_lse: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, slopes = ctx.saved_tensors
        d_hidden = slopes.new_zeros(ctx.shape)
        parts = (slopes * d_nll[:, None]).to(slopes.dtype)
        if d_hidden.is_cuda:
            # Sorts first, where index_add_ adds a branch point's parts in the order in which threads arrive.
            d_hidden.index_put_((rows,), parts, accumulate=True)
        else:
            d_hidden.index_add_(0, rows, parts)
        return d_hidden, None, None, None, None, None


def _softmax_of(impl: Implementation, hidden: torch.Tensor) -> SoftmaxChunk:
    if impl == "cpu":
        from fourfold.kernels.span_cross_entropy import cpu

        return cpu.softmax_chunk
    require(impl == "triton", "impl", seen=repr(impl), expected="'triton', 'cpu' or 'reference'")
    require(hidden.dtype != torch.float64, "hidden", seen="float64", expected="float32 or narrower with impl='triton'")
    from fourfold.kernels.span_cross_entropy import triton_softmax

    require(
        hidden.is_cuda or triton_softmax.is_interpreted(),
        "hidden",
        seen=f"on {hidden.device}",
        expected="a CUDA tensor with impl='triton' (a CPU tensor only in Triton's interpreter)",
    )
    return triton_softmax.softmax_chunk


def _require_arguments(
    hidden: torch.Tensor, head_weight: torch.Tensor, targets: SpanTargets, chunk_rows: int | None
) -> None:
    require(
        hidden.ndim == 2 and hidden.is_floating_point() and len(hidden) == targets.n_rows,
        "hidden",
        seen=describe(hidden),
        expected=f"floating [{targets.n_rows}, H]",
    )
    shape = (targets.n_vocabulary, hidden.shape[1])
    require(
        tuple(head_weight.shape) == shape and (head_weight.dtype, head_weight.device) == (hidden.dtype, hidden.device),
        "head_weight",
        seen=describe(head_weight),
        expected=f"{hidden.dtype} {list(shape)} on {hidden.device}",
    )
    require(not head_weight.requires_grad, "head_weight", seen="trained (requires_grad)", expected="a frozen head")
    require(
        targets.rows.device == hidden.device, "targets", seen=f"on {targets.rows.device}", expected=f"{hidden.device}"
    )
    require(chunk_rows is None or chunk_rows > 0, "chunk_rows", seen=chunk_rows, expected="None, or 1 and more")
