"""The loss of chosen positions, forward and backward, as ratios to PyTorch's own ways in one run.

    python benchmarks/span_cross_entropy.py [--tiny]

CPU: a row of 1,024 tokens of which 256 are learnt, SmolLM2-135M's head in bf16, against PyTorch's cross-entropy on
the learnt rows alone (the bar: nothing but fewer rows helps a CPU), on all rows, and its `linear_cross_entropy`. Half a
minute. GPU, if there is one: 8,192 tokens under a head of 128,256 x 4,096 in bf16, all of them learnt and a quarter,
against chunked PyTorch under torch.compile and against whole logits, with peak memory, beside its ceiling: 4 K H V
operations at 790 TFLOP/s (bf16 products on an H200). Two minutes. Rows go to `span_cross_entropy.csv`. `--tiny`: small
shapes, to see that it runs; writes nothing. Let nothing else run.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from rows import Row, append, measured
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from fourfold.kernels.span_cross_entropy import SpanTargets, span_cross_entropy, span_targets

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
N_REPEATS = 20 if CUDA else 5
# bf16 matrix products, measured on an H200.
PEAK_FLOPS = 790e12
Way = Callable[[], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Work:
    """T hidden states, a frozen head, and which of the tokens are learnt; `labels` say the same as PyTorch takes it."""

    hidden: torch.Tensor
    head: torch.Tensor
    targets: SpanTargets
    labels: torch.Tensor

    @property
    def shape(self) -> str:
        """How much it is."""
        return f"{len(self.targets.rows)} of {len(self.hidden)} tokens, head {' x '.join(map(str, self.head.shape))}"


def main(arguments: Sequence[str]) -> None:
    """Run."""
    tiny = "--tiny" in arguments
    sizes = (64, 32, 500) if tiny else (8192, 4096, 128_256) if CUDA else (1024, 576, 49_152)
    rows = [row for every in ((1, 4) if CUDA else (4,)) for row in ratios(make_work(*sizes, every=every))]
    for row in rows:
        print(f"{row.implementation:60} {row.median:10.4f} {row.unit:6} {row.shape}")
    if not tiny:
        print(append("span_cross_entropy", rows))


def make_work(n: int, width: int, vocabulary: int, *, every: int) -> Work:
    """One token in `every` is learnt."""
    random = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, vocabulary, (n,), generator=random)
    weights = (torch.arange(n) % every == 0).float()
    targets = span_targets(tokens, torch.arange(n), weights, n_rows=n, n_vocabulary=vocabulary)
    return Work(
        hidden=torch.randn(n, width, generator=random).to(DEVICE, torch.bfloat16).requires_grad_(),
        head=(torch.randn(vocabulary, width, generator=random) / width**0.5).to(DEVICE, torch.bfloat16),
        targets=targets.to(DEVICE),
        labels=torch.where(weights > 0, tokens, -100).to(DEVICE),
    )


def ratios(work: Work) -> list[Row]:
    """Seconds of every way, taken in turns, each rival's over ours, and memory where it is counted."""
    ways = make_ways(work)
    expected = float(ways["span_cross_entropy"]())
    for name, way in ways.items():
        # linear_cross_entropy sums in bf16, which has 8 bits.
        assert abs(float(way()) / expected - 1) < 1e-2, f"{name} gives {float(way())}, not {expected}"
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(N_REPEATS):
        for name, way in ways.items():
            seconds[name].append(timed(way))
    rows = [row(values, name, "s", work) for name, values in seconds.items()]
    own = seconds["span_cross_entropy"]
    for name in [name for name in ways if name != "span_cross_entropy"]:
        ratio = [rival / mine for rival, mine in zip(seconds[name], own, strict=True)]
        rows.append(row(ratio, f"{name} / span_cross_entropy", "ratio", work))
    if CUDA:
        rows += [row([peak_bytes(way) / 2**20], name, "MiB", work) for name, way in ways.items()]
        operations = 4 * len(work.targets.rows) * work.head.numel()
        rows.append(row([operations / s / PEAK_FLOPS for s in own], "span_cross_entropy / ceiling", "ratio", work))
    return rows


def make_ways(work: Work) -> dict[str, Way]:
    """Forward and backward of each; each gives its loss."""
    learnt = work.targets.rows

    def ours() -> torch.Tensor:
        impl = "triton" if CUDA else "cpu"
        return backward(work, span_cross_entropy(work.hidden, work.head, work.targets, impl=impl).loss)

    def learnt_rows() -> torch.Tensor:
        return backward(work, summed_nll(work.hidden[learnt], work.head, work.targets.tokens))

    def all_rows() -> torch.Tensor:
        return backward(work, summed_nll(work.hidden, work.head, work.labels))

    def linear() -> torch.Tensor:
        loss = functional.linear_cross_entropy(work.hidden[learnt], work.head, work.targets.tokens, reduction="sum")
        return backward(work, loss)

    ways = {"span_cross_entropy": ours, "cross_entropy, all rows": all_rows}
    if CUDA:
        return {**ways, "compiled chunked cross_entropy, learnt rows": chunked(work)}
    return {**ways, "cross_entropy, learnt rows": learnt_rows, "linear_cross_entropy, learnt rows": linear}


def chunked(work: Work) -> Way:
    """What a user of PyTorch writes: chunks of 1,024 rows, logits made again for the backward pass, compiled."""
    part = torch.compile(summed_nll)

    def way() -> torch.Tensor:
        chunks = zip(work.hidden[work.targets.rows].split(1024), work.targets.tokens.split(1024), strict=True)
        parts = [checkpoint(part, states, work.head, tokens, use_reentrant=False) for states, tokens in chunks]
        return backward(work, torch.stack(parts).sum())

    return way


def summed_nll(hidden: torch.Tensor, head: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """PyTorch's cross-entropy of whole logits in float32."""
    return functional.cross_entropy((hidden @ head.T).float(), tokens, reduction="sum")


def backward(work: Work, loss: torch.Tensor) -> torch.Tensor:
    """The loss, after its gradient."""
    work.hidden.grad = None
    loss.backward()
    return loss.detach()


def row(values: Sequence[float], implementation: str, unit: str, work: Work) -> Row:
    """A row of this device."""
    made = measured(
        values,
        op="span cross-entropy",
        implementation=implementation,
        unit=unit,
        shape=work.shape,
        dtype="bf16",
        mode="forward+backward",
    )
    return dataclasses.replace(made, device=torch.cuda.get_device_name()) if CUDA else made


def timed(way: Way) -> float:
    """Seconds until the device is done."""
    if CUDA:
        torch.cuda.synchronize()
    started = time.perf_counter()
    way()
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def peak_bytes(way: Way) -> int:
    """Bytes allocated at most beyond what stood before, on a GPU."""
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    way()
    return torch.cuda.max_memory_allocated() - before


if __name__ == "__main__":
    main(sys.argv[1:])
