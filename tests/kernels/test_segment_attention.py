"""Segment attention against its specification.

Without a GPU the Triton kernels run under their interpreter, at sizes that keep a case near a second.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fourfold.kernels.packing import Node, pack
from fourfold.kernels.segment_attention import Implementation, SegmentTable, make_table, segment_attention

# Rounding of the fused attention on the CPU, whose exponential is good to 20 units in the last place, beside the
# budget of 2 that holds for the Triton kernels.
FACTOR = {"triton": 2, "cpu": 4}
IMPLEMENTATIONS: list[Implementation] = ["triton", "cpu"]
FLOATS = [torch.float32, torch.bfloat16, torch.float16]
Results = list[torch.Tensor]


def node(n_tokens: int, *children: Node) -> Node:
    return Node(n_tokens=n_tokens, children=children)


def documents(*lengths: int, n_tokens: int | None = None, tile: Any = 64) -> SegmentTable:
    return pack([node(n) for n in lengths], n_tokens=n_tokens or sum(lengths), tile=tile).rows[0].table


LAYOUTS = {
    "packed documents": documents(40, 70, 5, 66),
    "shared context": pack([node(70, node(9), node(20), node(33)), node(11)], n_tokens=143, tile=64).rows[0].table,
    "trees of two levels": pack(
        [node(30, node(10), node(40, node(5), node(9)), node(7)), node(11)], n_tokens=112, tile=32
    ).rows[0].table,
    "a row of 64 modulo 128 with padding": documents(100, 60, n_tokens=192, tile=128),
}  # fmt: skip

SMALL = pack([node(20, node(9), node(6))], n_tokens=37, tile=16).rows[0].table


@dataclass(frozen=True, kw_only=True)
class Inputs:
    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    do: torch.Tensor

    def pick(self, places: torch.Tensor) -> Inputs:
        return Inputs(**{name: getattr(self, name)[:, places] for name in ("q", "k", "v", "do")})

    def to(self, dtype: torch.dtype) -> Inputs:
        return Inputs(**{name: getattr(self, name).to(dtype) for name in ("q", "k", "v", "do")})


def make_inputs(
    table: SegmentTable, *, heads: tuple[int, int] = (2, 1), d: int = 32, dtype: torch.dtype = torch.float32
) -> Inputs:
    """Normal values of `dtype`."""
    generator = torch.Generator().manual_seed(0)

    def make(n_heads: int) -> torch.Tensor:
        return torch.randn(n_heads, table.n_tokens, d, generator=generator).to(dtype)

    return Inputs(q=make(heads[0]), k=make(heads[1]), v=make(heads[1]), do=make(heads[0]))


def device_of(impl: Implementation) -> str:
    return "cuda" if impl == "triton" and torch.cuda.is_available() else "cpu"


def run(inputs: Inputs, table: SegmentTable, impl: Implementation) -> Results:
    """Output, dQ, dK and dV, on the CPU."""
    device = device_of(impl)
    q, k, v = (x.to(device).detach().requires_grad_() for x in (inputs.q, inputs.k, inputs.v))
    out = segment_attention(q, k, v, table.to(device), scale=q.shape[2] ** -0.5, impl=impl)
    gradients = torch.autograd.grad(out, (q, k, v), inputs.do.to(device))
    return [out.detach().cpu(), *(gradient.cpu() for gradient in gradients)]


def failures(got: Results, exact: Results, eager: Results, factor: float) -> list[str]:
    """What of the results is further from fp64 than `factor` × (eager's error + eps · largest value)."""
    found = []
    for name, one, truth, rival in zip(("out", "dq", "dk", "dv"), got, exact, eager, strict=True):
        largest = truth.abs().max()
        budget = factor * ((rival.double() - truth).abs().max() + torch.finfo(rival.dtype).eps * largest)
        error = (one.double() - truth).abs().max()
        # Negated, so that NaN fails.
        if not error <= budget:
            found.append(f"{name}: error {error:.2e}, budget {budget:.2e}")
    return found


def check(inputs: Inputs, table: SegmentTable, impl: Implementation) -> None:
    """Output and gradients hold the budget; zeros and one value that is off by a twentieth do not."""
    exact = run(inputs.to(torch.float64), table, "reference")
    eager = run(inputs, table, "reference")
    got = run(inputs, table, impl)
    assert [x.dtype for x in got] == [inputs.q.dtype] * 4
    assert failures(got, exact, eager, FACTOR[impl]) == []
    assert len(failures([torch.zeros_like(x) for x in got], exact, eager, FACTOR[impl])) == sum(x.any() for x in exact)
    for place, x in enumerate(got):
        at = exact[place].abs().flatten().argmax()
        if not exact[place].flatten()[at]:
            continue
        spoilt = [y.clone(memory_format=torch.contiguous_format) for y in got]
        spoilt[place].view(-1)[at] *= 1.05 if x.dtype == torch.float32 else 1.25
        assert len(failures(spoilt, exact, eager, FACTOR[impl])) == 1


def sequences(table: SegmentTable) -> list[list[int]]:
    """Places of the tokens of each whole sequence, one for each leaf."""
    runs, offsets = table.runs.tolist(), table.run_offsets.tolist()
    spans = [[tuple(run[:2]) for run in runs[a:b]] for a, b in itertools.pairwise(offsets)]
    inner = {span for own in spans for span in own[:-1]}
    return [[place for a, b in own for place in range(a, b)] for own in spans if own[-1] not in inner]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("impl", ["reference", "cpu"])
def test_unshared_sequences_give_the_same_in_torch_s_own_attention(layout: str, impl: Implementation) -> None:
    table = LAYOUTS[layout]
    inputs = make_inputs(table, heads=(6, 2), d=24, dtype=torch.float64)
    q, k, v = (x.clone().requires_grad_() for x in (inputs.q, inputs.k, inputs.v))
    out = torch.zeros_like(q)
    for places in sequences(table):
        rows = [x[None, :, places] for x in (q, k, v)]
        own = torch.nn.functional.scaled_dot_product_attention(*rows, is_causal=True, enable_gqa=True)[0]
        out = out.index_copy(1, torch.tensor(places), own)
    gradients = torch.autograd.grad(out, (q, k, v), inputs.do)
    for one, other in zip(run(inputs, table, impl), (out, *gradients), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_every_layout_holds_the_error_budget(impl: Implementation, layout: str) -> None:
    check(make_inputs(LAYOUTS[layout], heads=(1, 1)), LAYOUTS[layout], impl)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_16_bits_hold_the_error_budget(impl: Implementation, dtype: torch.dtype) -> None:
    check(make_inputs(LAYOUTS["shared context"], heads=(1, 1), dtype=dtype), LAYOUTS["shared context"], impl)


@pytest.mark.parametrize("heads", [(2, 2), (3, 1), (4, 1), (8, 1), (6, 2)])
@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_query_heads_share_key_heads(impl: Implementation, heads: tuple[int, int]) -> None:
    table = pack([node(12, node(6), node(3))], n_tokens=21, tile=16).rows[0].table
    check(make_inputs(table, heads=heads), table, impl)


@pytest.mark.parametrize("d", [32, 40, 64, 80, 96, 128])
@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_head_sizes(impl: Implementation, d: int) -> None:
    table = pack([node(20, node(6), node(3))], n_tokens=29, tile=16).rows[0].table
    check(make_inputs(table, heads=(1, 1), d=d), table, impl)


@pytest.mark.parametrize("tile", [64, 128])
@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_lengths_around_the_tiles(impl: Implementation, tile: int) -> None:
    table = documents(1, 7, 63, 64, 65, *([127, 128, 129] if tile == 128 else []), tile=tile)
    check(make_inputs(table, heads=(1, 1)), table, impl)


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_a_length_of_1023(impl: Implementation) -> None:
    table = documents(1023, tile=128)
    check(make_inputs(table, heads=(1, 1)), table, impl)


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_one_token_sees_itself(impl: Implementation) -> None:
    table = documents(*[1] * 12)
    inputs = make_inputs(table)
    out, dq, dk, dv = run(inputs, table, impl)
    assert torch.equal(out, inputs.v.expand(2, -1, -1))
    torch.testing.assert_close(dv, inputs.do.sum(0, keepdim=True))
    # A softmax over one score is constant: what is not 0 is rounding.
    assert max(dq.abs().max(), dk.abs().max()) < 1e-5


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_five_thousand_tiny_documents(impl: Implementation) -> None:
    if device_of(impl) == "cpu" and impl == "triton":
        pytest.skip("no GPU: the interpreter would take minutes; 30 run instead")
    table = documents(*[1 + number % 7 for number in range(5000)], tile=16)
    check(make_inputs(table, heads=(1, 1)), table, impl)


def test_thirty_tiny_documents_in_triton() -> None:
    table = documents(*[2 + number % 7 for number in range(30)], tile=16)
    check(make_inputs(table, heads=(1, 1)), table, "triton")


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_contexts_that_many_suffixes_read_are_summed_from_parts(impl: Implementation) -> None:
    table = pack([node(20, node(150), node(90))], n_tokens=260, tile=16).rows[0].table
    assert table.n_slots == 2
    check(make_inputs(table, heads=(1, 1)), table, impl)


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_strides_do_not_matter(impl: Implementation) -> None:
    inputs = make_inputs(SMALL)

    def loosen(x: torch.Tensor) -> torch.Tensor:
        wide = torch.full((SMALL.n_tokens, x.shape[0] + 1, 2 * x.shape[2] + 3), float("nan"), dtype=x.dtype)
        view = wide[:, 1:, 2:-1:2].transpose(0, 1)
        view.copy_(x)
        return view

    loose = Inputs(**{name: loosen(getattr(inputs, name)) for name in ("q", "k", "v", "do")})
    assert loose.q.stride(2) == 2
    for one, other in zip(run(inputs, SMALL, impl), run(loose, SMALL, impl), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_a_gradient_without_strides_is_read_rightly(impl: Implementation) -> None:
    inputs = make_inputs(SMALL)
    ones = Inputs(q=inputs.q, k=inputs.k, v=inputs.v, do=torch.ones(()).expand(inputs.q.shape))
    dense = Inputs(q=inputs.q, k=inputs.k, v=inputs.v, do=torch.ones(inputs.q.shape))
    for one, other in zip(run(ones, SMALL, impl), run(dense, SMALL, impl), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_equal_inputs_give_equal_bits(impl: Implementation) -> None:
    inputs = make_inputs(SMALL, dtype=torch.bfloat16)
    for one, other in zip(run(inputs, SMALL, impl), run(inputs, SMALL, impl), strict=True):
        assert torch.equal(one, other)


GROUPS = [node(33, node(9), node(20)), node(5), node(70)]


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_permuted_groups_give_permuted_bits(impl: Implementation) -> None:
    tables, places = [], []
    for order in ((0, 1, 2), (2, 0, 1)):
        table = pack([GROUPS[number] for number in order], n_tokens=137, tile=64).rows[0].table
        tables.append(table)
        sizes = [sum(one.n_tokens for one in GROUPS[number].walk()) for number in order]
        start = dict(zip(order, torch.tensor([0, *sizes]).cumsum(0).tolist(), strict=False))
        places.append(torch.cat([torch.arange(start[n], start[n] + sizes[order.index(n)]) for n in range(3)]))
    inputs = make_inputs(tables[0])
    into = torch.arange(137)
    into[places[1]] = places[0]
    first, second = run(inputs, tables[0], impl), run(inputs.pick(into), tables[1], impl)
    for one, other in zip(first, second, strict=True):
        assert one[:, places[0]].any()
        assert torch.equal(one[:, places[0]], other[:, places[1]])


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_a_group_does_not_depend_on_its_neighbours(impl: Implementation) -> None:
    table = pack(GROUPS, n_tokens=137, tile=64).rows[0].table
    inputs = make_inputs(table, dtype=torch.bfloat16)
    together = run(inputs, table, impl)
    start = 0
    for group in GROUPS:
        size = sum(one.n_tokens for one in group.walk())
        alone = run(
            inputs.pick(torch.arange(start, start + size)), pack([group], n_tokens=size, tile=64).rows[0].table, impl
        )
        for one, other in zip(together, alone, strict=True):
            assert torch.equal(one[:, start : start + size], other)
        start += size


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # NumPy's, under the interpreter.
@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
@pytest.mark.parametrize("spoilt", ["q", "k", "v", "do"])
def test_nan_stays_in_its_own_group(impl: Implementation, spoilt: str) -> None:
    table = pack([node(20, node(9)), node(5), node(8)], n_tokens=48, tile=16).rows[0].table
    inputs = make_inputs(table)
    clean = run(inputs, table, impl)
    getattr(inputs, spoilt)[:, 31] = float("nan")
    others = torch.cat([torch.arange(29), torch.arange(34, 48)])
    found = run(inputs, table, impl)
    assert any(x[:, 29:34].isnan().any() for x in found)
    for one, other in zip(clean, found, strict=True):
        assert torch.equal(one[:, others], other[:, others])


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_padding_gives_zeros_and_is_not_read(impl: Implementation) -> None:
    table = documents(20, 9, n_tokens=40, tile=16)
    inputs = make_inputs(table)
    clean = run(inputs, table, impl)
    for x in (inputs.q, inputs.k, inputs.v, inputs.do):
        x[:, 29:] = float("nan")
    for one, other in zip(clean, run(inputs, table, impl), strict=True):
        assert not other[:, 29:].any()
        assert torch.equal(one, other)


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_a_suffix_that_misses_one_token_of_its_context_is_found_wrong(impl: Implementation) -> None:
    table = pack([node(70, node(9))], n_tokens=79, tile=64).rows[0].table
    short = make_table([(0, 69), (69, 70), (70, 79)], [(), (0,), (0,)], n_tokens=79, tile=64)
    inputs = make_inputs(table)
    exact, eager = (run(x, table, "reference") for x in (inputs.to(torch.float64), inputs))
    assert len(failures(run(inputs, short, impl), exact, eager, FACTOR[impl])) == 4


class _Largest(TorchDispatchMode):
    """The most bytes in any tensor that an operator returns."""

    n_bytes: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for x in result if isinstance(result, (tuple, list)) else [result]:
            self.n_bytes = max(self.n_bytes, x.nbytes if isinstance(x, torch.Tensor) else 0)
        return result


@pytest.mark.parametrize(("impl", "n_tokens"), [("triton", 512), ("cpu", 2048)])
def test_nothing_grows_with_the_square_of_the_row(impl: Implementation, n_tokens: int) -> None:
    table = pack([node(n_tokens // 2, *[node(n_tokens // 8)] * 4)], n_tokens=n_tokens, tile=128).rows[0].table
    inputs = make_inputs(table, heads=(1, 1))
    with _Largest() as largest:
        run(inputs, table, impl)
    assert table.n_slots == 0
    assert largest.n_bytes <= inputs.q.nbytes < n_tokens**2 / 2


def bad(**changes: Any) -> tuple[Inputs, SegmentTable, Any]:
    table = changes.pop("table", documents(20, 9))
    inputs = make_inputs(documents(20, 9), heads=(4, 2))
    x = {name: changes.get(name, getattr(inputs, name)) for name in ("q", "k", "v", "do")}
    return Inputs(**x), table, changes.get("impl", "cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"impl": "flash"}, "impl = 'flash': must be one of triton, cpu, reference"),
        ({"q": torch.ones(1, 4, 29, 32)}, r"q has shape \(1, 4, 29, 32\): must be \[heads, tokens, head size\]"),
        ({"k": torch.ones(2, 28, 32)}, "k has 28 tokens: must have the table's 29"),
        ({"table": documents(20, 8)}, "q has 29 tokens: must have the table's 28"),
        ({"v": torch.ones(2, 29, 16)}, "v has head size 16: must have 32 as q has"),
        ({"v": torch.ones(4, 29, 32)}, r"v has shape \(4, 29, 32\): must have k's, \(2, 29, 32\)"),
        ({"k": torch.ones(3, 29, 32), "v": torch.ones(3, 29, 32)}, "k has 3 heads: must divide q's 4"),
        ({"k": torch.ones(2, 29, 32).half()}, "k is torch.float16: must be torch.float32 as q is"),
        ({"q": torch.ones(4, 29, 32).int()}, "q is torch.int32: cpu takes torch.bfloat16"),
        ({"q": torch.ones(4, 29, 32).double(), "impl": "triton"}, "q is torch.float64: triton takes torch.bfloat16"),
        ({"k": torch.ones(2, 29, 32, device="meta")}, "k is on meta: must be on cpu as q is"),
        ({"table": documents(20, 9).to("meta")}, "table is on meta: must be on cpu as q is; move it with table.to"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    inputs, table, impl = bad(**changes)
    with pytest.raises(ValueError, match=message):
        segment_attention(inputs.q, inputs.k, inputs.v, table, scale=1.0, impl=impl)


@pytest.mark.parametrize("d", [16, 36, 136])
def test_head_sizes_that_the_kernels_lack_are_refused(d: int) -> None:
    table = documents(20, 9)
    inputs = make_inputs(table, d=d)
    with pytest.raises(ValueError, match=f"q has head size {d}: impl='triton' takes multiples of 8 from 32 to 128"):
        segment_attention(inputs.q, inputs.k, inputs.v, table, scale=1.0, impl="triton")


def test_triton_on_the_cpu_is_refused_outside_its_interpreter() -> None:
    code = (
        "import torch\n"
        "from fourfold.kernels.segment_attention import make_table, segment_attention\n"
        "q = torch.ones(1, 4, 32)\n"
        "segment_attention(q, q, q, make_table([(0, 4)], [()], n_tokens=4), scale=1.0, impl='triton')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": ""}, capture_output=True, text=True, check=False, timeout=120
    )
    assert "ValueError: q is on cpu: impl='triton' needs a GPU; on the CPU take impl='cpu'" in done.stderr


@pytest.mark.long  # About 300 cases; under the interpreter some take ten seconds.
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("d", [32, 64, 128])
@pytest.mark.parametrize("heads", [(2, 2), (3, 1), (8, 2)])
@pytest.mark.parametrize("tile", [32, 128])
@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_the_whole_grid_holds_the_error_budget(
    impl: Implementation, tile: int, heads: tuple[int, int], d: int, dtype: torch.dtype
) -> None:
    groups = [node(130, node(1), node(64), node(40, node(65), node(7))), node(1), node(129)]
    table = pack(groups, n_tokens=448, tile=tile).rows[0].table  # type: ignore[arg-type]
    check(make_inputs(table, heads=heads, d=d, dtype=dtype), table, impl)
