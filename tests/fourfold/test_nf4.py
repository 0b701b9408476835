from __future__ import annotations

import sys

import pytest
import torch
from torch.nn import functional

from fourfold.errors import ModelError
from fourfold.llm.nf4 import round_to_nf4

BLOCK = 64
# The widest gap between two of NF4's 16 values is that from -1 to -.6962 (QLoRA, appendix E); half of it, and 1% for
# the scale's own 8 bits and bf16.
WORST = 0.1519 * 1.01
SHAPES = [(64, 192), (96, 100), (7, 13), (1, 1), (256, 256)]


class Toy(torch.nn.Module):
    def __init__(self, rows: int, columns: int, dtype: torch.dtype) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.embed = torch.nn.Embedding(rows, columns, dtype=dtype)
            self.inner = torch.nn.Sequential(torch.nn.Linear(columns, rows, dtype=dtype))
            self.lm_head = torch.nn.Linear(columns, rows, dtype=dtype)


def blocks(weight: torch.Tensor) -> torch.Tensor:
    """Runs of 64 of a weight [N, 64], zeros at the end."""
    flat = weight.detach().double().reshape(-1)
    return functional.pad(flat, (0, -len(flat) % BLOCK)).reshape(-1, BLOCK)


def rounded(shape: tuple[int, int], dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    toy = Toy(*shape, dtype)
    before = blocks(toy.inner[0].weight)
    assert round_to_nf4(toy) == 1
    assert toy.inner[0].weight.dtype == dtype
    assert toy.inner[0].weight.shape == shape
    return before, blocks(toy.inner[0].weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_weight_moves_less_than_half_the_widest_gap_of_its_block(
    shape: tuple[int, int], dtype: torch.dtype
) -> None:
    before, after = rounded(shape, dtype)
    scale = before.abs().amax(dim=1, keepdim=True)
    assert ((after - before).abs() <= WORST * scale).all()
    # bf16 weights that are few may all stand on NF4's values; many cannot.
    assert before.numel() < 1000 or ((after - before).abs() > 0.1 * scale).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_block_holds_at_most_16_values(shape: tuple[int, int]) -> None:
    before, after = rounded(shape, torch.float32)
    assert max(len(row.unique()) for row in after) <= 16
    assert before.numel() < 1000 or max(len(row.unique()) for row in before) > 16


def test_rounding_again_keeps_every_code_and_moves_a_scale_by_its_own_rounding_only() -> None:
    toy = Toy(256, 256, torch.float32)
    round_to_nf4(toy)
    once = blocks(toy.inner[0].weight)
    round_to_nf4(toy)
    twice = blocks(toy.inner[0].weight)
    scales = [found.abs().amax(dim=1, keepdim=True) for found in (once, twice)]
    torch.testing.assert_close(once / scales[0], twice / scales[1], rtol=0, atol=1e-6)
    torch.testing.assert_close(scales[0], scales[1], rtol=2e-3, atol=0)


def test_in_bf16_rounding_again_changes_nothing() -> None:
    toy = Toy(256, 256, torch.bfloat16)
    round_to_nf4(toy)
    once = toy.inner[0].weight.detach().clone()
    round_to_nf4(toy)
    assert torch.equal(toy.inner[0].weight, once)


def test_embeddings_head_and_biases_stay() -> None:
    toy, same = Toy(64, 128, torch.float32), Toy(64, 128, torch.float32)
    round_to_nf4(toy)
    changed = {name for name, value in toy.state_dict().items() if not torch.equal(value, same.state_dict()[name])}
    assert changed == {"inner.0.weight"}


def test_what_is_kept_is_named_by_the_last_part() -> None:
    toy, same = Toy(64, 128, torch.float32), Toy(64, 128, torch.float32)
    assert round_to_nf4(toy, keep=frozenset({"0"})) == 1
    assert torch.equal(toy.inner[0].weight, same.inner[0].weight)
    assert not torch.equal(toy.lm_head.weight, same.lm_head.weight)


def test_a_model_without_linear_layers_has_nothing_rounded() -> None:
    assert round_to_nf4(torch.nn.Sequential(torch.nn.Embedding(4, 4))) == 0


def test_rounding_without_bitsandbytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.delitem(sys.modules, "bitsandbytes.functional", raising=False)
    with pytest.raises(ModelError, match=r"bitsandbytes\S* is not installed"):
        round_to_nf4(Toy(2, 2, torch.float32))
