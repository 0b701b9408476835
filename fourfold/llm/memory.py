"""Halves a batch that does not fit into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from fourfold.errors import ModelError

_LOG = logging.getLogger(__name__)
# What torch's CPU allocator says, as a plain RuntimeError.
_CPU_COMPLAINTS = ("not enough memory", "can't allocate memory")

Row = TypeVar("Row")
Found = TypeVar("Found")


def halving(run: Callable[[Sequence[Row]], Sequence[Found]], rows: Sequence[Row]) -> list[Found]:
    """`run` over all rows together, or over halves of them as often as memory asks for it.

    Raises:
        ModelError: one row alone does not fit.
    """
    if not rows:
        return []
    try:
        return list(run(rows))
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        if len(rows) == 1:
            raise ModelError(
                "the model does not fit into memory with a single prompt",
                seen=" ".join(str(error).split())[:300],
                expected="memory for one prompt and its answer",
                hint="use a smaller model, shorter prompts or a machine with more memory",
            ) from error
    # Outside the handler: its traceback would keep the tensors of the failed attempt.
    _free()
    half = (len(rows) + 1) // 2
    _LOG.warning("a batch of %d rows does not fit into memory: it runs as two of %d", len(rows), half)
    return halving(run, rows[:half]) + halving(run, rows[half:])


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(complaint in str(error) for complaint in _CPU_COMPLAINTS)


def _free() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
