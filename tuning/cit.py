"""Corpus-invariant tuning: the contexts' likelihood is held where the untuned model has it.

Source: Zhang et al. 2024 (CIT, arXiv 2404.01652), in the decoder-only form: contexts stand before the question, so that
their log-probabilities come out of the answer's forward pass, and the reference model is the base with its adapter
disabled. The loss of an optimiser step over its answer tokens A and its shown documents D is

    L = 1/|A| Σ_a −log P_θ(a)  +  α · 1/|D| Σ_d g(mean over d's tokens of log P_θ − log P_θ0)

with g = |x| (two-sided) or max(0, x) (hinge). The paper masks spans of an encoder-decoder; the mean per token, the
hinge and α are settings here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourfold.study.tuning import CitForm

if TYPE_CHECKING:
    import torch


def penalty(tuned: torch.Tensor, base: torch.Tensor, form: CitForm) -> torch.Tensor:
    """Σ_d g(change of d), fp32 scalar, in nats a token.

    Args:
        tuned: mean log-probability of each document's tokens under the tuned model, fp32 [D].
        base: under the base, fp32 [D].
        form: which changes count.
    """
    change = tuned - base
    return (change.abs() if form == "two-sided" else change.clamp(min=0)).sum()
