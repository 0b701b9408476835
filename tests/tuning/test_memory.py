from __future__ import annotations

from typing import Any

import pytest
import torch
from support.tuned import PLAIN, TUNING, changed, make_rows

from fourfold.errors import ModelError
from fourfold.llm.load import load_base
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings
from fourfold.tuning.batches import collate
from fourfold.tuning.loss import answer_loss
from fourfold.tuning.memory import Sizes, estimate, read_sizes, require_memory
from fourfold.tuning.methods import adapted_layers, with_adapter
from fourfold.tuning.rows import TuningRow

SIZES = Sizes(n_parameters=1_000_000, linear=((100, 300), (300, 100)), vocabulary=5000)
ROWS = [TuningRow(question_id="q", form="with contexts", prompt_ids=(1,) * 90, answer_ids=(1,) * 10)]


def test_the_estimate_is_that_of_its_formula() -> None:
    found = estimate(SIZES, ROWS, model=PLAIN, tuning=TUNING)  # rank 4, 2 rows of 100 tokens, fp32
    assert found.base == 4 * 1_000_000
    assert found.learnt == 16 * 4 * 800
    assert found.activations == 200 * 4 * 800
    assert found.logits == 12 * 2 * 10 * 5000
    assert found.total == found.base + found.learnt + found.activations + found.logits + 10**9


def test_half_precision_halves_the_base_and_full_tuning_learns_every_weight() -> None:
    half = estimate(SIZES, ROWS, model=ModelSettings(), tuning=TUNING)
    assert (half.base, half.activations) == (2 * 1_000_000, 200 * 2 * 800)
    assert estimate(SIZES, ROWS, model=PLAIN, tuning=changed(method="full")).learnt == 16 * 2 * 30_000


def test_sizes_are_those_of_the_loaded_model(tiny: Weights) -> None:
    model = load_base(tiny, PLAIN, device="cpu")
    sizes = read_sizes(tiny)
    assert sizes.n_parameters == sum(parameter.numel() for parameter in model.parameters())
    assert sorted(sizes.linear) == sorted(
        (layer.in_features, layer.out_features) for layer in adapted_layers(model).values()
    )
    assert sizes.vocabulary == model.config.vocab_size


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_what_autograd_keeps_is_within_the_estimate_and_no_tenth_of_it(tiny: Weights, method: str) -> None:
    tuning = changed(method=method, micro_batch_rows=1)
    row = TuningRow(
        question_id="q", form="with contexts", prompt_ids=tuple(range(3, 203)), answer_ids=tuple(range(3, 13))
    )
    with quiet_transformers():
        model = with_adapter(load_base(tiny, PLAIN, device="cpu"), tuning)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Any] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    batch = collate([row], pad_id=0)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = answer_loss(model.get_base_model(), batch["input_ids"], batch["labels"])
    n_bytes = sum(t.untyped_storage().nbytes() for pointer, t in kept.items() if pointer not in own)
    loss.backward()
    found = estimate(read_sizes(tiny), [row], model=PLAIN, tuning=tuning)
    allowed = found.activations + found.logits
    assert allowed / 10 < n_bytes < allowed


@pytest.mark.parametrize(
    ("settings", "available", "hint"),
    [
        ({"micro_batch_rows": 4}, 1.2, "set tuning.micro_batch_rows to 2"),
        ({"micro_batch_rows": 4}, 1.1, "set tuning.micro_batch_rows to 1"),
        ({"method": "full", "micro_batch_rows": 1}, 1.2, "set tuning.method to lora"),
        ({"micro_batch_rows": 1}, 1.06, "set model.dtype to bfloat16"),
        ({"micro_batch_rows": 1}, 0.5, "name a smaller model"),
    ],
)
def test_a_run_that_does_not_fit_is_refused_with_the_smallest_change_that_would(
    tiny: Weights, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], available: float, hint: str
) -> None:
    sizes = Sizes(n_parameters=1_000_000, linear=((4000, 4000),), vocabulary=5000)
    monkeypatch.setattr("fourfold.tuning.memory.read_sizes", lambda _: sizes)
    rows = [TuningRow(question_id="q", form="with contexts", prompt_ids=(1,) * 1990, answer_ids=(1,) * 10)]
    with pytest.raises(ModelError, match="does not fit into memory") as caught:
        require_memory(tiny, PLAIN, rows, tuning=changed(**settings), available_bytes=int(available * 1e9))
    assert caught.value.hint.startswith(hint)


def test_what_fits_is_let_through_and_so_is_a_machine_that_does_not_say(tiny: Weights) -> None:
    require_memory(tiny, PLAIN, make_rows(), tuning=TUNING, available_bytes=2 * 10**9)
    require_memory(tiny, PLAIN, make_rows(), tuning=TUNING, available_bytes=None)
