"""Weights rounded to 4-bit NormalFloat once, kept resident and dequantised.

All arms train and answer on the same rounded weights (fairness rule 1). Source: Dettmers et al. 2023 (QLoRA,
arXiv 2305.14314), section 3: NF4 in blocks of 64 with double quantisation of the scales. We differ in keeping the
dequantised values in memory instead of dequantising at each use: the same numbers, more memory, less time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourfold.errors import ModelError

if TYPE_CHECKING:
    import torch


def round_to_nf4(model: torch.nn.Module, *, keep: frozenset[str] = frozenset({"lm_head"})) -> int:
    """Round every linear layer's weight in place.

    Args:
        model: any module; weights of any floating dtype, which is kept.
        keep: last parts of module names that stay unrounded (QLoRA leaves embeddings and the output head alone).

    Returns:
        The number of layers rounded; 0 for a model whose weights stand in other modules (GPT-2's Conv1D).

    Raises:
        ModelError: bitsandbytes is not installed.
    """
    import torch

    try:
        import bitsandbytes.functional as bnb
    except ModuleNotFoundError as error:
        raise ModelError(
            "weights cannot be rounded to NF4",
            seen=f"the package {error.name} is not installed",
            expected="bitsandbytes, which holds NF4's table",
            hint="pip install 'fourfold[models]', or set model.quantisation to none for every arm",
        ) from error

    n_rounded = 0
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] not in keep:
            with torch.no_grad():
                packed, state = bnb.quantize_4bit(
                    module.weight.data.contiguous(), quant_type="nf4", compress_statistics=True
                )
                module.weight.copy_(bnb.dequantize_4bit(packed, state))
            n_rounded += 1
    return n_rounded
