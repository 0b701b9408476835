"""The adapter as used, merged and reloaded: alike where they should be, and told apart where they are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from support.tuned import PLAIN, ROUNDED

from fourfold.errors import ModelError
from fourfold.llm.port import Adapter
from fourfold.llm.weights import Weights
from fourfold.tuning.checks import agreement
from fourfold.tuning.checks.agreement import Answered, answer_logits, check_agreement, compare_logits
from fourfold.tuning.export.merge import merged_model

PROMPTS = [
    Answered(prompt_id="a", prompt_ids=(5, 9, 30, 41), answer_ids=(40, 41, 2)),
    Answered(prompt_id="b", prompt_ids=tuple(range(10, 60)), answer_ids=(7,)),
]


def test_share_and_gap_are_those_of_a_hand_worked_table() -> None:
    used = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    other = torch.tensor([[0.0, 1.5, 1.0], [1.0, 1.25, 0.0], [0.0, 0.0, 4.0]])
    found = compare_logits(used, other, "a", "merged")
    assert found.identical == pytest.approx(2 / 3)
    assert found.gap == 3.0


def test_merged_weights_and_a_4_bit_reload_answer_as_the_adapter_does(wide: Weights, tuned_wide: Adapter) -> None:
    rows = check_agreement(PROMPTS, wide, ROUNDED, tuned_wide, device="cpu")
    assert [(row.variant, row.prompt_id) for row in rows] == [
        ("merged", "a"), ("merged", "b"), ("4-bit reload", "a"), ("4-bit reload", "b")
    ]  # fmt: skip
    gaps = {row.variant: row.gap for row in rows if row.gap is not None}
    # float32: only the order of additions differs. bitsandbytes' kernel for CPUs keeps its scales in bfloat16.
    assert gaps["merged"] < 1e-4
    assert gaps["4-bit reload"] < 0.05
    assert all(row.identical == 1 for row in rows if row.variant == "merged")


def test_a_reload_that_cannot_run_is_told_and_counts_as_nothing(
    monkeypatch: pytest.MonkeyPatch, tiny: Weights, tuned: Callable[..., Adapter]
) -> None:
    def refusing(*_: object, **__: object) -> object:
        def model(**_: object) -> None:
            raise RuntimeError("no kernel")

        model.device = "cpu"  # type: ignore[attr-defined]
        return model

    monkeypatch.setattr(agreement, "reload_in_4_bit", refusing)
    *_, row = check_agreement(PROMPTS[:1], tiny, ROUNDED, tuned(), device="cpu")
    assert (row.variant, row.identical, row.gap, row.reason) == ("4-bit reload", None, None, "cannot run: no kernel")


@pytest.mark.parametrize("method", ["dora", "full"])
def test_other_methods_merge_too(method: str, tiny: Weights, tuned: Callable[..., Adapter]) -> None:
    settings = PLAIN if method == "full" else ROUNDED
    rows = check_agreement(PROMPTS[:1], tiny, settings, tuned(method), device="cpu")
    assert rows[0].variant == "merged"
    assert rows[0].gap < 1e-4


def test_an_adapter_on_a_base_that_was_not_rounded_is_told_apart(tiny: Weights, tuned: Callable[..., Adapter]) -> None:
    """What the check is for: the same adapter, another base."""
    rounded, plain = (
        answer_logits(merged_model(tiny, settings, tuned(), device="cpu"), PROMPTS[1]) for settings in (ROUNDED, PLAIN)
    )
    assert compare_logits(rounded, plain, "b", "merged").gap > 1e-3


def test_an_adapter_of_another_base_is_refused(tuned: Callable[..., Adapter], wide: Weights) -> None:
    with pytest.raises(ModelError, match="adapter"):
        check_agreement(PROMPTS, wide, ROUNDED, tuned(), device="cpu")
