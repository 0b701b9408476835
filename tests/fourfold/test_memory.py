"""A batch that memory does not hold."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from fourfold.errors import ModelError
from fourfold.llm.memory import halving

ALLOCATOR = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried ..."


def runs_up_to(limit: int, error: Exception, seen: list[int]) -> object:
    def run(rows: Sequence[int]) -> list[int]:
        seen.append(len(rows))
        if len(rows) > limit:
            raise error
        return [row * 10 for row in rows]

    return run


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError(ALLOCATOR), RuntimeError("not enough memory: 9 bytes")],
)
def test_a_batch_is_halved_until_it_fits_and_keeps_its_order(error: Exception) -> None:
    seen: list[int] = []
    assert halving(runs_up_to(2, error, seen), range(7)) == [0, 10, 20, 30, 40, 50, 60]
    assert seen == [7, 4, 2, 2, 3, 2, 1]


def test_the_cpu_allocators_own_complaint_is_known() -> None:
    with pytest.raises(ModelError, match="does not fit into memory"):
        # 4 exabytes.
        halving(lambda rows: [torch.empty(2**60) for _ in rows], [1])


def test_a_single_row_that_does_not_fit_is_an_error_of_the_model() -> None:
    with pytest.raises(ModelError, match="does not fit into memory") as error:
        halving(runs_up_to(0, RuntimeError(ALLOCATOR), []), [1, 2])
    assert "DefaultCPUAllocator" in str(error.value.seen)


def test_other_errors_are_not_about_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        halving(runs_up_to(0, RuntimeError("shapes do not fit"), []), [1, 2])


def test_no_rows_are_not_run() -> None:
    assert halving(runs_up_to(0, RuntimeError("never"), []), []) == []
