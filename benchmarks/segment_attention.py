"""Attention, forward and backward, over packed documents and shared contexts, as ratios to its rivals in one run.

    python benchmarks/segment_attention.py [CASE ...]     cases: packed shared (all without any)

On a GPU if there is one: packed documents and a shared context in bf16 at head sizes 64 and 128 against compiled
flex_attention, torch's varlen_attn and scaled-dot-product attention document by document; in steady state, and over 20
rows of different lengths with all that happens around a kernel. About 5 minutes. Else on the CPU, in 3 minutes: against
transformers' own packed `sdpa`, and against torch's attention sequence by sequence. Rows go to `segment_attention.csv`.
Let nothing else run.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from rows import Row, append, measured
from torch.nn.functional import scaled_dot_product_attention

from fourfold.kernels.packing import Node, pack
from fourfold.kernels.segment_attention import SegmentTable, segment_attention

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
N_REPEATS = 20 if CUDA else 5
Tensors = tuple[torch.Tensor, ...]
Attention = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Work:
    """One row of tokens: q, k and v of [H, T, D], and who sees whom."""

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    groups: tuple[Node, ...]
    shape: str

    def table(self) -> SegmentTable:
        """Made anew, as once a batch."""
        (row,) = pack(self.groups, n_tokens=self.q.shape[1], tile=128).rows
        return row.table.to(DEVICE)


def main(cases: Sequence[str]) -> None:
    """Run cases."""
    known = {"packed": packed, "shared": shared}
    rows = [row for name in cases or known for row in known[name]()]
    for row in rows:
        print(f"{row.op:34} {row.implementation:44} {row.median:9.3f} {row.unit:6} {row.mode:12} {row.shape}")
    print(append("segment_attention", rows))


def packed() -> list[Row]:
    """Eight documents in one row."""
    if not CUDA:
        work = make_work([Node(n_tokens=512)] * 8, heads=(9, 3), d=64)
        return ratios("attention, packed documents", work, {"transformers sdpa": transformers_sdpa(work)})
    rows: list[Row] = []
    for d in (64, 128):
        work = make_work([Node(n_tokens=1024)] * 8, heads=(32, 8), d=d)
        rivals = {"flex_attention": flex(work), "varlen_attn": varlen(work), "per document": alone(work)}
        rows += ratios("attention, packed documents", work, rivals)
        rows += lengths(d)
    return rows


def shared() -> list[Row]:
    """A context with eight suffixes; rivals take the unshared sequences."""
    if not CUDA:
        group = Node(n_tokens=512, children=(Node(n_tokens=64),) * 8)
        work = make_work([group], heads=(9, 3), d=64)
        return ratios("attention, shared context", work, {"unshared, per document": alone(unshared(work))})
    rows: list[Row] = []
    for d in (64, 128):
        work = make_work([Node(n_tokens=3000, children=(Node(n_tokens=200),) * 8)], heads=(32, 8), d=d)
        copies = unshared(work)
        rivals = {"flex_attention": flex(copies), "varlen_attn": varlen(copies), "per document": alone(copies)}
        rows += ratios("attention, shared context", work, {f"unshared, {name}": one for name, one in rivals.items()})
    return rows


def lengths(d: int) -> list[Row]:
    """Twenty rows of different lengths, everything counted that a row costs: tables, masks, compilation."""
    works = [make_work([Node(n_tokens=1024 - 8 * number)] * 8, heads=(32, 8), d=d) for number in range(20)]
    ways = {"segment_attention": ours, "flex_attention": flex, "varlen_attn": varlen, "per document": alone}
    seconds = {}
    for name, way in ways.items():
        torch.compiler.reset()
        seconds[name] = timed(lambda way=way: [way(work)() for work in works])
    shape = f"20 rows of 8 documents of 872-1024, d {d}, 32/8 heads"
    rows = [row([s], "attention, 20 lengths", name, "s", shape) for name, s in seconds.items()]
    best = min(s for name, s in seconds.items() if name != "segment_attention")
    ratio = best / seconds["segment_attention"]
    return [*rows, row([ratio], "attention, 20 lengths", "fastest rival / segment_attention", "ratio", shape)]


def ratios(op: str, work: Work, rivals: dict[str, Callable[[], object]]) -> list[Row]:
    """Seconds of every way, taken in turns, and each rival's over ours."""
    ways = {"segment_attention": ours(work), **rivals}
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(N_REPEATS):
        for name, way in ways.items():
            seconds[name].append(timed(way))
    rows = [row(values, op, name, "s", work.shape) for name, values in seconds.items()]
    own = seconds["segment_attention"]
    for name in rivals:
        ratio = [rival / mine for rival, mine in zip(seconds[name], own, strict=True)]
        rows.append(row(ratio, op, f"{name} / segment_attention", "ratio", work.shape))
    peak = peak_bytes(ways["segment_attention"])
    return [*rows, *([row([peak / 2**20], op, "segment_attention", "MiB", work.shape)] if peak else [])]


def row(values: Sequence[float], op: str, implementation: str, unit: str, shape: str) -> Row:
    """A row of this device."""
    made = measured(
        values, op=op, implementation=implementation, unit=unit, shape=shape, dtype="bf16", mode="forward+backward"
    )
    return dataclasses.replace(made, device=torch.cuda.get_device_name()) if CUDA else made


def timed(way: Callable[[], object]) -> float:
    """Seconds until the device is done."""
    if CUDA:
        torch.cuda.synchronize()
    started = time.perf_counter()
    way()
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def peak_bytes(way: Callable[[], object]) -> int | None:
    """Bytes allocated at most beyond what stood before; None on the CPU, where torch does not count them."""
    if not CUDA:
        return None
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    way()
    return torch.cuda.max_memory_allocated() - before


def make_work(groups: Sequence[Node], *, heads: tuple[int, int], d: int) -> Work:
    """Normal values; the row has no padding."""
    n_tokens = sum(node.n_tokens for group in groups for node in group.walk())
    generator = torch.Generator(DEVICE).manual_seed(0)
    q, k, v = (
        # Tokens outermost in memory, as a model's projections leave them.
        torch.randn(n_tokens, n_heads, d, generator=generator, device=DEVICE, dtype=torch.bfloat16)
        .transpose(0, 1)
        .requires_grad_()
        for n_heads in (heads[0], heads[1], heads[1])
    )
    first = groups[0]
    shape = f"{len(groups)} × {first.n_tokens}"
    if first.children:
        shape += f" + {len(first.children)} × {first.children[0].n_tokens}"
    return Work(q=q, k=k, v=v, groups=tuple(groups), shape=f"{shape} tokens, d {d}, {heads[0]}/{heads[1]} heads")


def unshared(work: Work) -> Work:
    """The same sequences, each with its own copy of the context."""
    groups = [
        Node(n_tokens=group.n_tokens + child.n_tokens) for group in work.groups for child in group.children
    ]  # fmt: skip
    return make_work(groups, heads=(len(work.q), len(work.k)), d=work.q.shape[2])


def both_passes(work: Work, attention: Attention) -> Callable[[], object]:
    """Forward and backward of an attention over [H, T, D]."""
    do = torch.ones_like(work.q)

    def run() -> object:
        out = attention(work.q, work.k, work.v)
        return torch.autograd.grad(out, (work.q, work.k, work.v), do)

    return run


def ours(work: Work) -> Callable[[], object]:
    """Segment attention."""
    table = work.table()
    scale = 1 / math.sqrt(work.q.shape[2])
    impl = "triton" if CUDA else "cpu"
    return both_passes(work, lambda q, k, v: segment_attention(q, k, v, table, scale=scale, impl=impl))


def transformers_sdpa(work: Work) -> Callable[[], object]:
    """What transformers does with packed rows: a mask from the position ids, one call for the row."""
    from transformers import LlamaConfig
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import create_causal_mask

    config = LlamaConfig(attn_implementation="sdpa")
    positions = work.table().position_ids[None].long()
    embeddings = torch.empty(1, work.q.shape[1], 1, dtype=torch.bfloat16)
    mask = create_causal_mask(config, embeddings, None, None, positions)
    module = SimpleNamespace(num_key_value_groups=len(work.q) // len(work.k), is_causal=True)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = sdpa_attention_forward(module, q[None], k[None], v[None], mask)[0]
        return out[0].transpose(0, 1)

    return both_passes(work, attend)


def alone(work: Work) -> Callable[[], object]:
    """PyTorch's attention, one document after another."""
    sizes = [group.n_tokens for group in work.groups]

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        parts = [
            scaled_dot_product_attention(*(x[None] for x in part), is_causal=True, enable_gqa=True)[0]
            for part in zip(*(x.split(sizes, 1) for x in (q, k, v)), strict=True)
        ]
        return torch.cat(parts, 1)

    return both_passes(work, attend)


def varlen(work: Work) -> Callable[[], object]:
    """PyTorch's attention over documents of many lengths."""
    from torch.nn.attention.varlen import varlen_attn

    sizes = [group.n_tokens for group in work.groups]
    cuts = torch.tensor([0, *sizes], device=DEVICE).cumsum(0).int()

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        rows = (x.transpose(0, 1) for x in (q, k, v))
        out = varlen_attn(*rows, cuts, cuts, max(sizes), max(sizes), window_size=(-1, 0), enable_gqa=True)
        assert isinstance(out, torch.Tensor)
        return out.transpose(0, 1)

    return both_passes(work, attend)


def flex(work: Work) -> Callable[[], object]:
    """Compiled flex_attention with a block mask of documents."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    sizes = torch.tensor([group.n_tokens for group in work.groups], device=DEVICE)
    document = torch.repeat_interleave(torch.arange(len(sizes), device=DEVICE), sizes)

    def visible(_batch: object, _head: object, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        return (document[i] == document[j]) & (i >= j)

    n_tokens = work.q.shape[1]
    mask = create_block_mask(visible, None, None, n_tokens, n_tokens, device=DEVICE)
    compiled = torch.compile(flex_attention)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = compiled(q[None], k[None], v[None], block_mask=mask, enable_gqa=True)[0]
        return out

    return both_passes(work, attend)


if __name__ == "__main__":
    main(sys.argv[1:])
