"""Which weights are kept, and when tuning stops: by the answer loss on validation questions, never on test ones.

What was seen stands in the trainer's log, which each checkpoint holds: a run that goes on after a kill decides as one
that was never killed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fourfold.tuning.attention import plain_attention
from fourfold.tuning.batches import collate
from fourfold.tuning.loss import answer_loss
from fourfold.tuning.rows import TuningRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Mean answer loss (nats a token) on the validation rows after a step."""

    step: int
    loss: float


def validation_loss(model: Any, rows: Sequence[TuningRow]) -> float:
    """Mean negative log-likelihood an answer token, nats; no gradient.

    Args:
        model: the tuned transformers model, in the autocast of training.
        rows: of validation questions, in the forms that are trained.
    """
    import torch

    total = 0.0
    was_training = model.training
    model.eval()
    with torch.no_grad(), plain_attention(model):
        for row in rows:
            one = {name: tensor.to(model.device) for name, tensor in collate([row], pad_id=0).items()}
            total += answer_loss(model, one["input_ids"], one["labels"]).item()
    model.train(was_training)
    return total / sum(len(row.answer_ids) for row in rows)


def best_look(looks: Sequence[Look]) -> Look:
    """The lowest loss; of equal ones the earliest."""
    return min(looks, key=lambda look: (look.loss, look.step))


def is_spent(looks: Sequence[Look], patience: int | None) -> bool:
    """Whether so many looks in a row have brought no better loss."""
    return patience is not None and len(looks) - 1 - looks.index(best_look(looks)) >= patience
