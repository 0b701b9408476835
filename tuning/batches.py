"""Rows as tensors: an optimiser step's rows in micro-batches that hold about the same number of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fourfold.tuning.loss import IGNORED
from fourfold.tuning.rows import TuningRow

if TYPE_CHECKING:
    import torch


def token_budget(rows: Sequence[TuningRow], *, micro_batch_rows: int) -> int:
    """Tokens, padding included, that one forward pass sees at most: so many of the longest rows."""
    return micro_batch_rows * max(row.n_tokens for row in rows)


def micro_batches(rows: Sequence[TuningRow], *, budget: int) -> list[list[TuningRow]]:
    """The rows in their order, cut where the next one would bring rows × longest row over the budget.

    A step's loss is a sum over its rows, so that where it is cut moves neither loss nor gradient but by rounding.

    Args:
        rows: of one optimiser step, longest first, so that little is padding.
        budget: tokens; a row over it goes alone.
    """
    found: list[list[TuningRow]] = []
    width = 0
    for row in rows:
        wider = max(width, row.n_tokens)
        if found and wider * (len(found[-1]) + 1) <= budget:
            found[-1].append(row)
            width = wider
        else:
            found.append([row])
            width = row.n_tokens
    return found


def collate(rows: Sequence[TuningRow], *, pad_id: int) -> dict[str, torch.Tensor]:
    """Rows padded on the right: `input_ids` and `labels`, int64 [B, T]; only answer tokens are labelled."""
    import torch

    width = max(row.n_tokens for row in rows)
    input_ids = torch.full((len(rows), width), pad_id)
    labels = torch.full((len(rows), width), IGNORED)
    for number, row in enumerate(rows):
        n_prompt = len(row.prompt_ids)
        input_ids[number, : row.n_tokens] = torch.tensor(row.prompt_ids + row.answer_ids)
        labels[number, n_prompt : row.n_tokens] = torch.tensor(row.answer_ids)
    return {"input_ids": input_ids, "labels": labels}
