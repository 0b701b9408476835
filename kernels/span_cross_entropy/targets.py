"""Which tokens are learnt, from which hidden state and with what weight: planned on the host, once a batch.

Labels are never shifted over a packed row. At a branch point the last context token predicts the first token of each
of its G suffixes, so each token names the row that predicts it, and a branch point is named G times. A context token
that G examples share is learnt once with G times the weight, which gives the loss of G unshared examples.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import torch

from fourfold.kernels.arguments import describe, require

_WHOLE = (torch.int32, torch.int64)


class Span(IntEnum):
    """What a token is part of."""

    IGNORE = 0
    CONTEXT = 1
    ANSWER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanTargets:
    """K tokens to predict; those of weight 0 are not among them.

    Attributes:
        rows: int64 [K]; the hidden state that predicts each.
        tokens: int64 [K]; the token it should predict.
        weights: float32 or float64 [K]; not 0.
        places: int64 [K]; where the token stands among those given to `span_targets`.
        n_rows: how many hidden states there are.
        n_vocabulary: how many tokens there are.
    """

    rows: torch.Tensor
    tokens: torch.Tensor
    weights: torch.Tensor
    places: torch.Tensor
    n_rows: int
    n_vocabulary: int

    def to(self, device: torch.device | str) -> SpanTargets:
        """The same on another device."""
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {name: value.to(device) for name, value in held.items() if isinstance(value, torch.Tensor)}
        return SpanTargets(**{**held, **moved})


def span_weights(
    spans: torch.Tensor, multiplicities: torch.Tensor, *, answer: float, context: float, dtype: torch.dtype
) -> torch.Tensor:
    """The weight of each token: its span's, times the number of examples that share it.

    Args:
        spans: integer [N] of `Span`.
        multiplicities: integer [N]; 0 for padding.
        answer: weight of an answer token of one example.
        context: weight of a context token of one example; 0 leaves contexts out.
        dtype: float32 or float64.

    Returns:
        [N].

    Raises:
        ValueError: other shapes, dtypes or values.
    """
    known = torch.tensor([0.0, context, answer], dtype=dtype)
    require(dtype in {torch.float32, torch.float64}, "dtype", seen=dtype, expected="float32 or float64")
    _require_whole("spans", spans, like=spans)
    _require_whole("multiplicities", multiplicities, like=spans)
    _require_between("spans", spans, 0, len(known))
    _require_between("multiplicities", multiplicities, 0, 2**31 - 1)
    return known[spans.long()] * multiplicities


def span_targets(
    tokens: torch.Tensor, predictors: torch.Tensor, weights: torch.Tensor, *, n_rows: int, n_vocabulary: int
) -> SpanTargets:
    """Check the plan and leave out what has weight 0.

    Args:
        tokens: int32 or int64 [N] on the CPU.
        predictors: int32 or int64 [N] on the CPU; the hidden state that predicts each token, -1 where none does.
        weights: float32 or float64 [N] on the CPU.
        n_rows: how many hidden states there will be.
        n_vocabulary: rows of the output head.

    Raises:
        ValueError: other shapes, dtypes, devices or values; a weight for a token that nothing predicts.
    """
    _require_whole("tokens", tokens, like=tokens)
    _require_whole("predictors", predictors, like=tokens)
    require(
        weights.shape == tokens.shape and weights.dtype in {torch.float32, torch.float64} and not weights.is_cuda,
        "weights",
        seen=describe(weights),
        expected=f"float32 or float64 {list(tokens.shape)} on the CPU",
    )
    finite = weights.isfinite()
    require(bool(finite.all()), "weights", seen=weights[~finite][:3].tolist(), expected="finite numbers")
    places = weights.nonzero()[:, 0]
    rows, kept = predictors[places].long(), tokens[places].long()
    _require_between("predictors of tokens that have a weight", rows, 0, n_rows)
    _require_between("tokens that have a weight", kept, 0, n_vocabulary)
    return SpanTargets(
        rows=rows, tokens=kept, weights=weights[places], places=places, n_rows=n_rows, n_vocabulary=n_vocabulary
    )


def _require_whole(argument: str, value: torch.Tensor, *, like: torch.Tensor) -> None:
    require(
        value.ndim == 1 and value.shape == like.shape and value.dtype in _WHOLE and not value.is_cuda,
        argument,
        seen=describe(value),
        expected=f"int32 or int64 {list(like.shape) if like.ndim == 1 else '[N]'} on the CPU",
    )


def _require_between(argument: str, value: torch.Tensor, low: int, end: int) -> None:
    wrong = value[(value < low) | (value >= end)]
    require(wrong.numel() == 0, argument, seen=wrong[:3].tolist(), expected=f"{low} to {end - 1}")
