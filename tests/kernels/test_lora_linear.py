from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from support.architectures import N_VOCABULARY, RAGGED, make_model

from fourfold.kernels.lora_linear import (
    LoraGroup,
    adapt,
    adapter_state,
    load_adapter_state,
    lora_linear,
    save_adapter,
)
from fourfold.kernels.lora_linear.reference import lora_linear_reference
from fourfold.llm.quiet import quiet_transformers

TOLERANCE = {torch.float32: 5e-5, torch.float64: 1e-9}
SIZES = (12, 4, 4)
RANK = 3
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]
Tensors = tuple[torch.Tensor, ...]


def random_of(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_inputs(n: int, *, bias: bool = True, seed: int = 0) -> dict[str, Any]:
    """What `lora_linear` takes, float64."""
    random = random_of(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    return {
        "x": draw(n, 16),
        "weight": draw(sum(SIZES), 16),
        "bias": draw(sum(SIZES)) if bias else None,
        "down": draw(len(SIZES) * RANK, 16),
        "ups": tuple(draw(size, RANK) for size in SIZES),
        "scale": 1.7,
    }


def narrowed(inputs: dict[str, Any], dtype: torch.dtype, device: str) -> dict[str, Any]:
    def narrow(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(narrow(one) for one in value)
        return value.to(device, dtype, copy=True) if isinstance(value, torch.Tensor) else value

    return {name: narrow(value) for name, value in inputs.items()}


def fused(x: torch.Tensor, **others: Any) -> Tensors:
    return lora_linear(x, **others)


def eager(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, *, down: torch.Tensor, ups: Tensors, scale: float
) -> Tensors:
    biases = [None] * len(SIZES) if bias is None else bias.split(SIZES)
    adapters = list(zip(down.split(RANK), ups, strict=True))
    return lora_linear_reference(x, weight.split(SIZES), biases, adapters, scale=scale)


def with_gradients(compute: Callable[..., Tensors], inputs: dict[str, Any]) -> Tensors:
    trained = [inputs["x"], inputs["down"], *inputs["ups"]]
    for value in trained:
        value.requires_grad_()
    outputs = compute(**inputs)
    random = random_of(9)
    slopes = [torch.randn(size, generator=random, dtype=torch.float64) for size in SIZES]
    torch.autograd.backward([(y * slope.to(y)).sum() for y, slope in zip(outputs, slopes, strict=True)])
    return tuple(value.detach().cpu().double() for value in (*outputs, *(value.grad for value in trained)))


def excess(found: Tensors, inputs: dict[str, Any], dtype: torch.dtype, device: str) -> float:
    """The largest error over its budget, 2 x (error of eager code in the same dtype + eps x largest value)."""
    exact = with_gradients(eager, narrowed(inputs, torch.float64, "cpu"))
    same_dtype = with_gradients(eager, narrowed(inputs, dtype, device))
    ratios = []
    for value, near, true in zip(found, same_dtype, exact, strict=True):
        budget = 2 * ((near - true).abs().max() + torch.finfo(dtype).eps * true.abs().max())
        ratios.append(float((value - true).abs().max() / budget))
    return max(ratios)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("n", "bias"), [(1, True), (7, False), (1023, True)])
def test_errors_are_within_twice_those_of_eager_code(device: str, dtype: torch.dtype, n: int, bias: bool) -> None:
    inputs = make_inputs(n, bias=bias)
    found = with_gradients(fused, narrowed(inputs, dtype, device))
    assert excess(found, inputs, dtype, device) <= 1


@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("spoil", [torch.zeros_like, lambda value: value * 1.05])
def test_zeros_and_perturbed_results_are_outside_the_budget(part: int, spoil: Callable[..., torch.Tensor]) -> None:
    inputs = make_inputs(7)
    found = list(with_gradients(fused, narrowed(inputs, torch.bfloat16, "cpu")))
    found[part] = spoil(found[part])
    assert excess(tuple(found), inputs, torch.bfloat16, "cpu") > 1


def test_in_float64_outputs_and_gradients_are_exact() -> None:
    inputs = make_inputs(7)
    exact, found = (with_gradients(way, narrowed(inputs, torch.float64, "cpu")) for way in (eager, fused))
    torch.testing.assert_close(found, exact, rtol=1e-12, atol=1e-12)


def test_strides_and_leading_dimensions_do_not_matter() -> None:
    inputs = make_inputs(6)
    plain = lora_linear(**inputs)
    x = inputs["x"].view(2, 3, 16).transpose(0, 1).contiguous().transpose(0, 1)
    strided = {**inputs, "x": x, "weight": inputs["weight"].T.contiguous().T, "down": inputs["down"].T.contiguous().T}
    assert not any(strided[name].is_contiguous() for name in ("x", "weight", "down"))
    for found, expected in zip(lora_linear(**strided), plain, strict=True):
        assert found.shape == (2, 3, expected.shape[1])
        torch.testing.assert_close(found.reshape(6, -1), expected)


def test_nan_stays_in_its_row() -> None:
    inputs = make_inputs(7)
    clean = lora_linear(**inputs)
    inputs["x"][2, 5] = float("nan")
    for found, expected in zip(lora_linear(**inputs), clean, strict=True):
        assert found[2].isnan().all()
        others = torch.arange(7) != 2
        torch.testing.assert_close(found[others], expected[others])


def test_an_output_that_nothing_uses_adds_nothing() -> None:
    inputs = make_inputs(7)
    inputs["down"].requires_grad_()
    lora_linear(**inputs)[1].sum().backward()
    used = torch.arange(len(SIZES) * RANK) // RANK == 1
    assert inputs["down"].grad[used].all()
    assert not inputs["down"].grad[~used].any()


def test_float32_matrices_beside_narrower_weights_get_float32_gradients() -> None:
    inputs = narrowed(make_inputs(7), torch.bfloat16, "cpu")
    inputs["down"] = inputs["down"].float().requires_grad_()
    inputs["ups"] = tuple(up.float().requires_grad_() for up in inputs["ups"])
    outputs = lora_linear(**inputs)
    assert {value.dtype for value in outputs} == {torch.bfloat16}
    sum(value.sum() for value in outputs).backward()
    assert {value.grad.dtype for value in (inputs["down"], *inputs["ups"])} == {torch.float32}


def adapted_pair(name: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """A random model adapted by us, and by PEFT with the same matrices, none of them 0."""
    ours, theirs = (make_model(RAGGED[name]()).to(dtype) for _ in range(2))
    adapt(ours, rank=4, alpha=6, generator=random_of())
    config = LoraConfig(r=4, lora_alpha=6, target_modules="all-linear", task_type="CAUSAL_LM")
    with quiet_transformers():
        theirs = get_peft_model(theirs, config, autocast_adapter_dtype=False).to(dtype)
    random = random_of(3)
    with torch.no_grad():
        for matrix_name, matrix in theirs.named_parameters():
            if "lora_" in matrix_name:
                matrix.copy_(torch.randn(matrix.shape, generator=random, dtype=torch.float64) * 0.2)
    load_adapter_state(ours, get_peft_model_state_dict(theirs))
    return ours, theirs


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float(((found - expected).norm() / expected.norm()).detach())


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ["llama", "smollm2", "qwen2", "qwen3"])
def test_logits_and_gradients_are_those_of_peft(name: str, dtype: torch.dtype) -> None:
    ours, theirs = adapted_pair(name, dtype)
    ids = torch.randint(0, N_VOCABULARY, (2, 13), generator=random_of(1))
    logits = [model(input_ids=ids, use_cache=False).logits for model in (ours, theirs)]
    assert relative(logits[0], logits[1]) <= TOLERANCE[dtype]
    for one in logits:
        one.log_softmax(-1)[..., 5].sum().backward()
    expected = {
        name.replace(".default", ""): matrix.grad for name, matrix in theirs.named_parameters() if "lora_" in name
    }
    found = gradients_by_peft_names(ours)
    assert found.keys() == expected.keys()
    assert max(relative(found[name], expected[name]) for name in found) <= TOLERANCE[dtype]


def gradients_by_peft_names(model: Any) -> dict[str, torch.Tensor]:
    found = {}
    for group in (module for module in model.modules() if isinstance(module, LoraGroup)):
        assert group.down.grad is not None
        for name, down, up in zip(group.names, group.down.grad.split(group.rank), group.ups, strict=True):
            found[f"base_model.model.{name}.lora_A.weight"] = down
            found[f"base_model.model.{name}.lora_B.weight"] = up.grad
    return found


def test_projections_of_one_input_are_one_group() -> None:
    model = make_model(RAGGED["llama"]())
    adapt(model, rank=4, alpha=8, generator=random_of())
    layer = "model.layers.1."
    names = [group.names for group in model.modules() if isinstance(group, LoraGroup)][4:]
    qkv = tuple(f"{layer}self_attn.{name}_proj" for name in "qkv")
    pair = (f"{layer}mlp.gate_proj", f"{layer}mlp.up_proj")
    assert sorted(names) == sorted([qkv, (f"{layer}self_attn.o_proj",), pair, (f"{layer}mlp.down_proj",)])
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, _ in model.named_parameters() if ".lora_" in name}


def test_a_fresh_adapter_changes_nothing_and_starts_as_pefts_does() -> None:
    base, ours = (make_model(RAGGED["llama"]()) for _ in range(2))
    adapt(ours, rank=4, alpha=8, generator=random_of())
    ids = torch.arange(9)[None]
    torch.testing.assert_close(ours(input_ids=ids).logits, base(input_ids=ids).logits)
    drawn = next(group.down for group in ours.modules() if isinstance(group, LoraGroup)).detach()
    assert 0.9 / 32**0.5 < float(drawn.abs().max()) <= 1 / 32**0.5
    assert abs(float(drawn.mean())) < 0.03


def test_peft_reads_what_is_saved(tmp_path: Path) -> None:
    ours, _ = adapted_pair("qwen2", torch.float32)
    save_adapter(ours, tmp_path / "adapter", base_name="some/base")
    with quiet_transformers():
        served = PeftModel.from_pretrained(make_model(RAGGED["qwen2"]()), tmp_path / "adapter")
    ids = torch.arange(9)[None]
    found, expected = served(input_ids=ids).logits, ours(input_ids=ids).logits
    assert relative(found, expected) <= TOLERANCE[torch.float32]
    assert relative(make_model(RAGGED["qwen2"]())(input_ids=ids).logits, expected) > 0.01
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (4, 6, "some/base")
    assert get_peft_model_state_dict(served, save_embedding_layers=False).keys() == adapter_state(ours).keys()


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    ours, _ = adapted_pair("llama", torch.float64)
    ids = torch.arange(9)[None]
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            ours.train()
            ours.activation_checkpointing_enable()
            ours.enable_input_require_grads()
        ours.zero_grad()
        ours(input_ids=ids, use_cache=False).logits.logsumexp(-1).sum().backward()
        found.append(gradients_by_peft_names(ours))
        found[-1] = {name: gradient.clone() for name, gradient in found[-1].items()}
    assert max(relative(found[0][name], found[1][name]) for name in found[0]) <= 1e-12


def _adapted() -> Any:
    model = make_model(RAGGED["llama"]())
    adapt(model, rank=4, alpha=8, generator=random_of())
    return model


def _call(**changes: Any) -> Callable[[], Tensors]:
    return lambda: lora_linear(**{**make_inputs(7), **changes})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (_call(x=torch.zeros(16)), r"x is torch.float32 \[16\] on cpu; allowed: floating \[..., H\]"),
        (_call(x=torch.zeros(7, 16)), r"weight is torch.float64 \[20, 16\] .* allowed: torch.float32 \[O, 16\]"),
        (_call(weight=torch.zeros(20, 9).double()), r"weight is torch.float64 \[20, 9\] .* \[O, 16\] on cpu, frozen"),
        (_call(weight=torch.zeros(20, 16).double().requires_grad_()), r"weight is .* frozen"),
        (_call(bias=torch.zeros(3).double()), r"bias is torch.float64 \[3\] .* allowed: None, or torch.float64 \[20\]"),
        (_call(ups=()), r"ups is empty; allowed: one matrix a layer"),
        (_call(ups=(torch.zeros(20, 3), torch.zeros(4, 3))), r"ups is \[\[20, 3\], \[4, 3\]\]; .* 20 rows together"),
        (_call(down=torch.zeros(8, 16)), r"down is torch.float32 \[8, 16\] on cpu; allowed: floating \[9, 16\]"),
        (
            lambda: adapt(_adapted(), rank=4, alpha=8, generator=random_of()),
            r"model is adapted already; allowed: a base",
        ),
        (
            lambda: adapt(make_model(RAGGED["llama"]()), rank=0, alpha=8, generator=random_of()),
            r"rank is 0; allowed: 1 and more",
        ),
        (lambda: adapter_state(make_model(RAGGED["llama"]())), r"model is without LoRA groups; allowed: a model after"),
        (lambda: load_adapter_state(_adapted(), {}), r"state is .* on one side only; allowed: the model's 28 matrices"),
        (
            lambda: load_adapter_state(
                _adapted(), {name: matrix[:2] for name, matrix in adapter_state(_adapted()).items()}
            ),
            r"lora_A.weight'\] is \[2, 32\]; allowed: \[4, 32\]",
        ),
    ],
)
def test_a_bad_argument_is_named_with_its_value_and_what_is_allowed(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
