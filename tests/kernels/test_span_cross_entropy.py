from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

from fourfold.kernels.span_cross_entropy import (
    Span,
    SpanLoss,
    SpanTargets,
    span_cross_entropy,
    span_targets,
    span_weights,
)

HAS_GPU = torch.cuda.is_available()
WAYS = [
    pytest.param("cpu", "cpu", id="cpu"),
    pytest.param("triton", "cpu", id="triton-interpreted", marks=pytest.mark.skipif(HAS_GPU, reason="the GPU is used")),
    pytest.param("triton", "cuda", id="triton-gpu", marks=pytest.mark.skipif(not HAS_GPU, reason="no GPU")),
]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """Inputs in float64, to be narrowed."""

    hidden: torch.Tensor
    head: torch.Tensor
    targets: SpanTargets

    def run(self, impl: Any, dtype: torch.dtype, *, device: str = "cpu", chunk_rows: int | None = None) -> Result:
        hidden = self.hidden.to(device, dtype, copy=True).requires_grad_()
        targets = self.targets.to(device)
        found = span_cross_entropy(hidden, self.head.to(device, dtype), targets, impl=impl, chunk_rows=chunk_rows)
        found.loss.backward()
        assert hidden.grad is not None
        outputs = (found.nll, found.lse, found.loss[None], hidden.grad)
        return Result(*(value.detach().cpu().double() for value in outputs))


@dataclasses.dataclass(frozen=True)
class Result:
    nll: torch.Tensor
    lse: torch.Tensor
    loss: torch.Tensor
    d_hidden: torch.Tensor

    def parts(self) -> dict[str, torch.Tensor]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def make_case(n: int, *, width: int = 24, vocabulary: int = 67, seed: int = 0) -> Case:
    """n tokens, about half of weight 0, some hidden states that predict several."""
    random = torch.Generator().manual_seed(seed)
    weights = torch.rand(n, generator=random) * torch.randint(0, 2, (n,), generator=random)
    weights[0] = 1.5
    return Case(
        hidden=torch.randn(n, width, generator=random, dtype=torch.float64),
        head=torch.randn(vocabulary, width, generator=random, dtype=torch.float64) * 0.5,
        targets=span_targets(
            torch.randint(0, vocabulary, (n,), generator=random),
            torch.randint(0, n, (n,), generator=random),
            weights,
            n_rows=n,
            n_vocabulary=vocabulary,
        ),
    )


def excess(found: Result, case: Case, dtype: torch.dtype) -> float:
    """The largest error over its budget, 2 x (error of eager code in the same dtype + eps x largest value)."""
    exact = case.run("reference", torch.float64).parts()
    eager = case.run("reference", dtype).parts()
    ratios = []
    for name, value in found.parts().items():
        budget = 2 * ((eager[name] - exact[name]).abs().max() + torch.finfo(dtype).eps * exact[name].abs().max())
        ratios.append(float((value - exact[name]).abs().max() / budget))
    return max(ratios)


@pytest.mark.parametrize(("impl", "device"), WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "vocabulary", "chunk_rows"), [(1, 67, None), (7, 5000, 4), (1023, 67, 100)])
def test_errors_are_within_twice_those_of_eager_code(
    impl: str, device: str, dtype: torch.dtype, n: int, vocabulary: int, chunk_rows: int | None
) -> None:
    case = make_case(n, vocabulary=vocabulary)
    found = case.run(impl, dtype, device=device, chunk_rows=chunk_rows)
    assert excess(found, case, dtype) <= 1


@pytest.mark.parametrize("spoil", [torch.zeros_like, lambda value: value * (1 + 0.05), lambda value: value.roll(1, 0)])
@pytest.mark.parametrize("part", ["nll", "d_hidden"])
def test_zeros_and_perturbed_results_are_outside_the_budget(spoil: Callable[..., torch.Tensor], part: str) -> None:
    case = make_case(7)
    found = case.run("cpu", torch.bfloat16)
    assert excess(found, case, torch.bfloat16) <= 1
    assert excess(dataclasses.replace(found, **{part: spoil(getattr(found, part))}), case, torch.bfloat16) > 1


def test_the_reference_is_pytorchs_cross_entropy_of_each_target() -> None:
    case = make_case(31)
    logits = case.hidden[case.targets.rows] @ case.head.T
    expected = functional.cross_entropy(logits, case.targets.tokens, reduction="none")
    torch.testing.assert_close(case.run("reference", torch.float64).nll, expected)


def test_in_float64_gradients_are_exact() -> None:
    case = make_case(31)
    exact, found = (case.run(impl, torch.float64, chunk_rows=4) for impl in ("reference", "cpu"))
    for name, value in exact.parts().items():
        torch.testing.assert_close(getattr(found, name), value, rtol=1e-12, atol=1e-12)


def test_any_function_of_the_likelihoods_can_be_differentiated() -> None:
    case = make_case(16)
    gradients = []
    for impl in ("cpu", "reference"):
        hidden = case.hidden.clone().requires_grad_()
        nll = span_cross_entropy(hidden, case.head, case.targets, impl=impl).nll
        (nll[:4].mean() - 3).abs().sub(nll[4:].exp().log1p().sum()).backward()
        gradients.append(hidden.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("impl", "device"), WAYS)
def test_a_branch_point_learns_the_first_token_of_every_suffix(impl: str, device: str) -> None:
    # Rows: context 0 1, suffixes 2 3 and 4 5; tokens 2 and 4 are both predicted from row 1.
    case = make_case(6)
    targets = span_targets(
        torch.tensor([9, 8, 7, 6, 5, 4]),
        torch.tensor([-1, 0, 1, 2, 1, 4]),
        torch.tensor([0.0, 0, 1, 1, 1, 1]),
        n_rows=6,
        n_vocabulary=67,
    )
    assert targets.rows.tolist() == [1, 2, 1, 4]
    assert targets.tokens.tolist() == [7, 6, 5, 4]
    found = dataclasses.replace(case, targets=targets).run(impl, torch.float32, device=device)
    # Unshared: the context stands twice, and labels are the next tokens.
    hidden = case.hidden[torch.tensor([[0, 1, 2, 3], [0, 1, 4, 5]])].requires_grad_()
    labels = torch.tensor([[-100, 7, 6, -100], [-100, 5, 4, -100]])
    loss = functional.cross_entropy((hidden @ case.head.T).flatten(0, 1), labels.flatten(), reduction="sum")
    loss.backward()
    assert hidden.grad is not None
    expected = torch.zeros(6, 24, dtype=torch.float64)
    expected.index_add_(0, torch.tensor([0, 1, 2, 3, 0, 1, 4, 5]), hidden.grad.flatten(0, 1))
    torch.testing.assert_close(found.loss[0], loss.detach(), rtol=1e-5, atol=0)
    torch.testing.assert_close(found.d_hidden, expected, rtol=1e-4, atol=1e-5)


def test_a_weight_is_its_spans_times_the_examples_that_share_the_token() -> None:
    spans = torch.tensor([Span.IGNORE, Span.CONTEXT, Span.ANSWER, Span.CONTEXT], dtype=torch.int32)
    multiplicities = torch.tensor([3, 3, 1, 0], dtype=torch.int32)
    weights = span_weights(spans, multiplicities, answer=1.0, context=0.5, dtype=torch.float32)
    assert weights.tolist() == [0, 1.5, 1, 0]


@pytest.mark.parametrize(("impl", "device"), WAYS)
def test_tokens_of_weight_0_reach_no_product_and_get_no_gradient(
    impl: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make_case(7)
    kept = len(case.targets.weights)
    assert kept == int((make_case(7).targets.weights != 0).sum()) < 7
    sizes: list[int] = []
    real = torch.mm

    def spy(a: torch.Tensor, *args: Any, **keywords: Any) -> torch.Tensor:
        sizes.append(len(a))
        return real(a, *args, **keywords)

    monkeypatch.setattr(torch, "mm", spy)
    found = case.run(impl, torch.float32, device=device, chunk_rows=2)
    assert sum(sizes) == kept
    unused = sorted(set(range(7)) - set(case.targets.rows.tolist()))
    assert unused
    assert not found.d_hidden[unused].any()


@pytest.mark.parametrize(("impl", "device"), [*WAYS, pytest.param("reference", "cpu", id="reference")])
def test_without_a_weight_there_is_no_loss_and_no_gradient(impl: str, device: str) -> None:
    tokens, predictors = torch.zeros(7, dtype=torch.int64), torch.arange(7)
    targets = span_targets(tokens, predictors, torch.zeros(7), n_rows=7, n_vocabulary=67)
    found = dataclasses.replace(make_case(7), targets=targets).run(impl, torch.float32, device=device)
    assert found.nll.shape == (0,)
    assert found.loss.tolist() == [0]
    assert not found.d_hidden.any()


@pytest.mark.parametrize(("impl", "device"), WAYS)
def test_strides_do_not_matter(impl: str, device: str) -> None:
    case = make_case(7)
    plain = case.run(impl, torch.float32, device=device)
    hidden = torch.empty(24, 7, 2, device=device)[..., 0].T.copy_(case.hidden)
    head = torch.empty(24, 67, device=device).T.copy_(case.head)
    assert not hidden.is_contiguous()
    assert not head.is_contiguous()
    hidden.requires_grad_()
    found = span_cross_entropy(hidden, head, case.targets.to(device), impl=impl)
    found.loss.backward()
    assert hidden.grad is not None
    torch.testing.assert_close(found.nll.detach().cpu().double(), plain.nll, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(hidden.grad.cpu().double(), plain.d_hidden, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("impl", "device"), [*WAYS, pytest.param("reference", "cpu", id="reference")])
def test_nan_stays_in_its_row(impl: str, device: str) -> None:
    case = make_case(63)
    row = int(case.targets.rows[5])
    spoilt = case.hidden.clone()
    spoilt[row, 3] = float("nan")
    found = dataclasses.replace(case, hidden=spoilt).run(impl, torch.float32, device=device)
    clean = case.run(impl, torch.float32, device=device)
    hit = case.targets.rows == row
    assert found.nll[hit].isnan().all()
    assert torch.equal(found.nll[~hit], clean.nll[~hit])
    others = torch.arange(63) != row
    assert found.d_hidden[row].isnan().all()
    assert torch.equal(found.d_hidden[others], clean.d_hidden[others])


@pytest.mark.parametrize(("impl", "device"), WAYS)
def test_chunks_do_not_change_the_result(impl: str, device: str) -> None:
    case = make_case(64)
    whole, chunked = (case.run(impl, torch.float32, device=device, chunk_rows=rows) for rows in (None, 3))
    for name, value in whole.parts().items():
        torch.testing.assert_close(getattr(chunked, name), value, rtol=1e-5, atol=1e-6)


def test_no_logits_outlive_their_chunk() -> None:
    """What is kept for the backward pass has the hidden states' width, not the vocabulary's."""
    case = make_case(1023, vocabulary=5000)
    kept: list[int] = []

    def note(value: torch.Tensor) -> torch.Tensor:
        kept.append(value.numel())
        return value

    hidden = case.hidden.float().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        span_cross_entropy(hidden, case.head.float(), case.targets, impl="cpu", chunk_rows=50)
    assert kept
    assert max(kept) == len(case.targets.tokens) * 24


def test_without_gradients_only_likelihoods_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case(7)
    monkeypatch.setattr(torch, "mm", lambda *_args, **_keywords: pytest.fail("a gradient is made"))
    found = span_cross_entropy(case.hidden, case.head, case.targets, impl="cpu")
    torch.testing.assert_close(
        found.nll, span_cross_entropy(case.hidden, case.head, case.targets, impl="reference").nll
    )


def _loss(**changes: Any) -> Callable[[], SpanLoss]:
    case = make_case(7)
    given: dict[str, Any] = {
        "hidden": case.hidden.float(),
        "head_weight": case.head.float(),
        "targets": case.targets,
        "impl": "cpu",
    }
    return lambda: span_cross_entropy(**{**given, **changes})


def _targets(**changes: Any) -> Callable[[], SpanTargets]:
    given: dict[str, Any] = {
        "tokens": torch.tensor([1, 2]),
        "predictors": torch.tensor([-1, 0]),
        "weights": torch.tensor([0.0, 1.0]),
        "n_rows": 2,
        "n_vocabulary": 9,
    }
    return lambda: span_targets(**{**given, **changes})


def _weights(**changes: Any) -> Callable[[], torch.Tensor]:
    given: dict[str, Any] = {
        "spans": torch.tensor([0, 2]),
        "multiplicities": torch.tensor([1, 1]),
        "answer": 1.0,
        "context": 0.0,
        "dtype": torch.float32,
    }
    return lambda: span_weights(**{**given, **changes})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (_loss(hidden=torch.zeros(6, 24)), r"hidden is torch.float32 \[6, 24\] on cpu; allowed: floating \[7, H\]"),
        (_loss(hidden=torch.zeros(7, 24, dtype=torch.int64)), r"hidden is torch.int64 .* allowed: floating"),
        (_loss(head_weight=torch.zeros(24, 67)), r"head_weight is torch.float32 \[24, 67\] .* \[67, 24\] on cpu"),
        (_loss(head_weight=torch.zeros(67, 24).bfloat16()), r"head_weight is torch.bfloat16 .* allowed: torch.float32"),
        (_loss(head_weight=torch.zeros(67, 24).requires_grad_()), r"head_weight is trained .* allowed: a frozen head"),
        (_loss(chunk_rows=0), r"chunk_rows is 0; allowed: None, or 1 and more"),
        (_loss(impl="cuda"), r"impl is 'cuda'; allowed: 'triton', 'cpu' or 'reference'"),
        (
            _loss(hidden=torch.zeros(7, 24).double(), head_weight=torch.zeros(67, 24).double(), impl="triton"),
            r"hidden is float64; allowed: float32 or narrower with impl='triton'",
        ),
        (_targets(tokens=torch.tensor([1.0, 2.0])), r"tokens is torch.float32 \[2\] on cpu; allowed: int32 or int64"),
        (_targets(tokens=torch.tensor([1, 9])), r"tokens that have a weight is \[9\]; allowed: 0 to 8"),
        (_targets(predictors=torch.tensor([0])), r"predictors is torch.int64 \[1\] .* allowed: int32 or int64 \[2\]"),
        (_targets(predictors=torch.tensor([0, -1])), r"predictors of tokens that have a weight is \[-1\]; .* 0 to 1"),
        (_targets(predictors=torch.tensor([0, 2])), r"predictors of tokens that have a weight is \[2\]; .* 0 to 1"),
        (_targets(weights=torch.tensor([0.0, float("nan")])), r"weights is \[nan\]; allowed: finite numbers"),
        (
            _targets(weights=torch.tensor([0, 1])),
            r"weights is torch.int64 \[2\] .* float32 or float64 \[2\] on the CPU",
        ),
        (_weights(spans=torch.tensor([0, 3])), r"spans is \[3\]; allowed: 0 to 2"),
        (_weights(multiplicities=torch.tensor([1, -1])), r"multiplicities is \[-1\]; allowed: 0 to"),
        (_weights(dtype=torch.bfloat16), r"dtype is torch.bfloat16; allowed: float32 or float64"),
    ],
)
def test_a_bad_argument_is_named_with_its_value_and_what_is_allowed(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
