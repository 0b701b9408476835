from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.tuned import changed, train

from fourfold.llm.weights import Weights
from fourfold.tuning.batches import micro_batches, token_budget
from fourfold.tuning.rows import TuningRow


def row(n_tokens: int) -> TuningRow:
    return TuningRow(
        question_id=str(n_tokens), form="with contexts", prompt_ids=tuple(range(n_tokens - 1)), answer_ids=(1,)
    )


@pytest.mark.parametrize(
    ("lengths", "budget", "cut"),
    [
        ([700, 690, 90, 80, 70, 60], 1400, [[700, 690], [90, 80, 70, 60]]),
        ([700, 90, 80], 700, [[700], [90, 80]]),
        ([10, 10, 10], 20, [[10, 10], [10]]),
        ([10, 9, 8], 30, [[10, 9, 8]]),
        ([50, 2], 20, [[50], [2]]),
        ([2, 50, 2], 100, [[2, 50], [2]]),
        ([], 10, []),
    ],
)
def test_rows_are_cut_where_the_padded_tokens_would_go_over_the_budget(
    lengths: list[int], budget: int, cut: list[list[int]]
) -> None:
    found = micro_batches([row(n) for n in lengths], budget=budget)
    assert [[one.n_tokens for one in some] for some in found] == cut


def test_the_budget_is_that_many_of_the_longest_row() -> None:
    assert token_budget([row(5), row(12), row(7)], micro_batch_rows=3) == 36


def test_where_a_step_is_cut_moves_the_adapter_by_rounding_alone(tmp_path: Path, tiny: Weights) -> None:
    trained = {n: train(tmp_path / str(n), tiny, changed(micro_batch_rows=n, epochs=1)) for n in (1, 2, 4)}
    weights = {n: load_file(tmp_path / str(n) / "adapter_model.safetensors") for n in trained}
    for n in (2, 4):
        assert trained[n].loss_first == pytest.approx(trained[1].loss_first, rel=1e-6)
        for name, tensor in weights[1].items():
            torch.testing.assert_close(weights[n][name], tensor, rtol=1e-2, atol=2e-4)


def test_a_last_batch_that_is_not_full_counts_its_own_tokens(tmp_path: Path, tiny: Weights) -> None:
    trained = train(tmp_path / "a", tiny, changed(batch_rows=3, micro_batch_rows=1, epochs=1))
    assert trained.n_steps == 3
    # A loss per answer token of an untrained tiny model, at any size of batch: ln 400 = 5.99.
    assert 5.5 < trained.loss_last < 6.2
