from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from fourfold.kernels.rope import rope

HAS_GPU = torch.cuda.is_available()
WAYS = [
    pytest.param("cpu", "cpu", id="cpu"),
    pytest.param("triton", "cpu", id="triton-interpreted", marks=pytest.mark.skipif(HAS_GPU, reason="the GPU is used")),
    pytest.param("triton", "cuda", id="triton-gpu", marks=pytest.mark.skipif(not HAS_GPU, reason="no GPU")),
]
Tensors = tuple[torch.Tensor, ...]


def make_inputs(n_tokens: int, head_size: int, *, heads: tuple[int, int] = (6, 2), n_batch: int = 2) -> Tensors:
    """q, k, and gradients to both, float64."""
    random = torch.Generator().manual_seed(0)
    shapes = [(n_batch, n, n_tokens, head_size) for n in (*heads, *heads)]
    return tuple(torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes)


def make_tables(head_size: int, n_positions: int, dtype: torch.dtype = torch.float64) -> Tensors:
    """Cosines and sines as transformers computes them, one of its two equal halves."""
    config = LlamaConfig(hidden_size=head_size, num_attention_heads=1, num_key_value_heads=1)
    embedding = LlamaRotaryEmbedding(config)
    cos, sin = embedding(torch.zeros(1, dtype=torch.float32), torch.arange(n_positions)[None])
    return cos[0, :, : head_size // 2].to(dtype), sin[0, :, : head_size // 2].to(dtype)


def by_transformers(inputs: Tensors, cos: torch.Tensor, sin: torch.Tensor, positions: torch.Tensor) -> Tensors:
    q, k = (value.clone().requires_grad_() for value in inputs[:2])
    tables = [torch.cat([table, table], dim=-1)[positions].to(q.dtype) for table in (cos, sin)]
    outputs = apply_rotary_pos_emb(q, k, *tables)
    torch.autograd.backward(outputs, inputs[2:])
    return tuple(value.detach() for value in (*outputs, q.grad, k.grad))


def by_us(inputs: Tensors, tables: Tensors, positions: torch.Tensor, impl: Any, device: str) -> Tensors:
    q, k = (value.to(device, copy=True).requires_grad_() for value in inputs[:2])
    outputs = rope(q, k, *(table.to(device) for table in tables), positions.to(device), impl=impl)
    torch.autograd.backward(outputs, [value.to(device) for value in inputs[2:]])
    return tuple(value.detach().cpu() for value in (*outputs, q.grad, k.grad))


def excess(found: Tensors, inputs: Tensors, positions: torch.Tensor, dtype: torch.dtype) -> float:
    """The largest error over its budget, 2 x (error of transformers in the same dtype + eps x largest value)."""
    head_size, n_positions = inputs[0].shape[-1], int(positions.max()) + 1
    exact = by_transformers(inputs, *make_tables(head_size, n_positions), positions)
    narrow = tuple(value.to(dtype) for value in inputs)
    eager = by_transformers(narrow, *make_tables(head_size, n_positions, torch.float32), positions)
    ratios = []
    for value, same_dtype, true in zip(found, eager, exact, strict=True):
        budget = 2 * ((same_dtype - true).abs().max() + torch.finfo(dtype).eps * true.abs().max())
        ratios.append(float((value.double() - true).abs().max() / budget))
    return max(ratios)


def run(impl: str, device: str, inputs: Tensors, positions: torch.Tensor, dtype: torch.dtype) -> Tensors:
    narrow = tuple(value.to(dtype) for value in inputs)
    tables = make_tables(inputs[0].shape[-1], int(positions.max()) + 1, torch.float32)
    return by_us(narrow, tables, positions, impl, device)


@pytest.mark.parametrize(("impl", "device"), WAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("n_tokens", "head_size"), [(1, 64), (7, 20), (1023, 32)])
def test_errors_are_within_twice_those_of_transformers(
    impl: str, device: str, dtype: torch.dtype, n_tokens: int, head_size: int
) -> None:
    inputs = make_inputs(n_tokens, head_size, n_batch=1 if n_tokens > 7 else 2)
    # They jump and repeat, as a shared context's suffixes do.
    positions = (torch.arange(n_tokens) % 5 * 13).expand(len(inputs[0]), -1)
    found = run(impl, device, inputs, positions, dtype)
    assert excess(found, inputs, positions, dtype) <= 1


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("spoil", [torch.zeros_like, lambda value: value * 1.05, lambda value: value.flip(-1)])
def test_zeros_and_perturbed_results_are_outside_the_budget(part: int, spoil: Callable[..., torch.Tensor]) -> None:
    inputs, positions = make_inputs(7, 32), torch.arange(7).expand(2, -1)
    found = list(run("cpu", "cpu", inputs, positions, torch.bfloat16))
    found[part] = spoil(found[part])
    assert excess(tuple(found), inputs, positions, torch.bfloat16) > 1


def test_in_float64_it_is_what_transformers_computes() -> None:
    inputs, tables = make_inputs(7, 32), make_tables(32, 50)
    positions = torch.tensor([[0, 1, 2, 3, 2, 3, 4], [49, 0, 7, 7, 1, 2, 3]])
    found = by_us(inputs, tables, positions, "cpu", "cpu")
    torch.testing.assert_close(found, by_transformers(inputs, *tables, positions), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("impl", "device"), WAYS)
def test_strides_do_not_matter(impl: str, device: str) -> None:
    inputs = tuple(value.float() for value in make_inputs(7, 32))
    positions = torch.arange(7, dtype=torch.int32).expand(2, -1)
    plain = by_us(inputs, make_tables(32, 7, torch.float32), positions, impl, device)
    for axes in ((1, 2), (2, 3), (0, 3)):
        strided = tuple(value.transpose(*axes).contiguous().transpose(*axes) for value in inputs)
        assert not strided[0].is_contiguous()
        found = by_us(strided, make_tables(32, 7, torch.float32), positions, impl, device)
        assert all(torch.equal(a, b) for a, b in zip(found, plain, strict=True))


@pytest.mark.parametrize(("impl", "device"), WAYS)
def test_nan_stays_in_its_token(impl: str, device: str) -> None:
    inputs = tuple(value.float() for value in make_inputs(7, 32))
    positions, tables = torch.arange(7).expand(2, -1), make_tables(32, 7, torch.float32)
    clean = by_us(inputs, tables, positions, impl, device)
    inputs[0][1, 2, 3, 4] = float("nan")
    found = by_us(inputs, tables, positions, impl, device)
    assert found[0][1, 2, 3, [4, 20]].isnan().all()
    assert int(found[0].isnan().sum()) == 2
    assert torch.equal(found[1], clean[1])


def _call(**changes: Any) -> Callable[[], Tensors]:
    cos, sin = make_tables(32, 9, torch.float32)
    given: dict[str, Any] = {
        "q": torch.zeros(1, 6, 7, 32),
        "k": torch.zeros(1, 2, 7, 32),
        "cos": cos,
        "sin": sin,
        "positions": torch.arange(7)[None],
        "impl": "cpu",
    }
    return lambda: rope(**{**given, **changes})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (_call(q=torch.zeros(6, 7, 32)), r"q is torch.float32 \[6, 7, 32\] on cpu; allowed: floating \[B, Hq, T, D\]"),
        (_call(q=torch.zeros(1, 6, 7, 31)), r"q is .* D even"),
        (_call(k=torch.zeros(1, 2, 6, 32)), r"k is torch.float32 \[1, 2, 6, 32\] .* \[1, Hk, 7, 32\] on cpu"),
        (_call(k=torch.zeros(1, 2, 7, 32).bfloat16()), r"k is torch.bfloat16 .* allowed: torch.float32"),
        (_call(cos=torch.zeros(9, 32)), r"cos is torch.float32 \[9, 32\] .* \[P, 16\] on cpu"),
        (_call(sin=torch.zeros(8, 16)), r"sin is torch.float32 \[8, 16\] .* both alike"),
        (_call(positions=torch.arange(7)), r"positions is torch.int64 \[7\] .* int32 or int64 \[1, 7\]"),
        (_call(positions=torch.arange(3, 10)[None]), r"positions is \[9\]; allowed: 0 to 8"),
        (_call(positions=torch.arange(-1, 6)[None]), r"positions is \[-1\]; allowed: 0 to 8"),
        (_call(impl="eager"), r"impl is 'eager'; allowed: 'triton' or 'cpu'"),
        (
            _call(q=torch.zeros(1, 6, 7, 32).double(), k=torch.zeros(1, 2, 7, 32).double(), impl="triton"),
            r"q is float64; allowed: float32 or narrower with impl='triton'",
        ),
    ],
)
def test_a_bad_argument_is_named_with_its_value_and_what_is_allowed(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
