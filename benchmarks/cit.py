"""Does tuning on contexts memorise them, and does CIT hold them? Drift in nats a token, and F1 beside it.

    python benchmarks/cit.py          # plain tuning over 3 seeds, then alpha .1 and 1: about an hour alone on 2 cores
    python benchmarks/cit.py tiny     # one seed, few rows: whether it works; appends nothing

Each run trains under 80,000 tokens. Trained are the quickstart's questions with their page and another one; followed
are gold pages, the other ones, and pages that no prompt shows, each alone in the prompt. F1 is of greedy answers to
other questions of the same manuals, gold and another page shown. Where plain tuning drifts by at most .02 on gold pages
there is nothing to hold, and that is the result; else |drift| under CIT should be at most max(.01, 20% of it) at an F1
within a point.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rows import Row, append, measured
from tuning_rows import Asked, alone, prompts, read_asked, with_contexts

from fourfold.app.run import default_cache
from fourfold.evals.metrics import token_f1
from fourfold.llm.port import Adapter, Sampling
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import find_language_model
from fourfold.study import ModelSettings, TuningSettings
from fourfold.tuning.drift import KINDS, Kind, Probe
from fourfold.tuning.train import Base, TrainedAdapter, TrainingSet, train_adapter
from fourfold.types import Question

MODEL = ModelSettings()


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much is trained, asked and followed."""

    n_trained: int
    n_asked: int
    n_followed: int
    characters: int
    epochs: int
    seeds: tuple[int, ...]
    alphas: tuple[float, ...]


WORK = {
    "full": Work(n_trained=40, n_asked=40, n_followed=16, characters=1200, epochs=2, seeds=(0, 1, 2),
                 alphas=(0, 0.1, 1)),
    "tiny": Work(n_trained=4, n_asked=2, n_followed=2, characters=150, epochs=1, seeds=(0,), alphas=(0, 1)),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Found:
    """One run: its drift after the last epoch, and F1 of the answers."""

    trained: TrainedAdapter
    f1: float


def main(size: str) -> None:
    """Measure and append."""
    amount = WORK[size]
    engine = TorchEngine(find_language_model("embedded", default_cache(os.environ)), MODEL, device="cpu")
    asked = read_asked(n=amount.n_trained + amount.n_asked + amount.n_followed, characters=amount.characters)
    trained, tested = asked[: amount.n_trained], asked[amount.n_trained : amount.n_trained + amount.n_asked]
    data = TrainingSet(rows=with_contexts(engine, trained, closed=False), probes=probes_of(engine, asked, amount))
    n_tokens = amount.epochs * sum(row.n_tokens for row in data.rows)
    assert n_tokens <= 80_000, n_tokens
    shape = f"{len(data.rows)} rows with contexts, {n_tokens} trained tokens, {amount.epochs} epoch(s)"
    base = f1_of(engine, tested, None)
    rows = [measured([base], op="cit: F1", implementation="base", unit="", shape=shape, dtype="bf16")]
    for alpha in amount.alphas:
        runs = [run(engine, data, tested, amount, (alpha, seed)) for seed in amount.seeds]
        rows += rows_of(alpha, runs, shape)
        for row in rows[-len(KINDS) - 1 :]:
            print(f"{row.op:24} {row.implementation:12} {row.median:8.4f} {row.unit} [{row.p20:.4f}, {row.p80:.4f}]")
    print(f"base F1 {base:.4f}; {shape}")
    if size == "full":
        print(append("cit", rows))


def probes_of(engine: TorchEngine, asked: list[Asked], amount: Work) -> list[Probe]:
    """Passages that rows show, gold or not, and those of questions that are neither trained on nor asked."""
    n = amount.n_followed
    kinds: dict[Kind, list[str]] = {
        "gold": [one.gold for one in asked[:n]],
        "distractor": [one.other for one in asked[:n]],
        "unseen": [one.gold for one in asked[-n:]],
    }
    return [Probe(kind=kind, shown=alone(engine, text)) for kind, texts in kinds.items() for text in texts]


def run(engine: TorchEngine, data: TrainingSet, tested: list[Asked], amount: Work, point: tuple[float, int]) -> Found:
    """Train one adapter and answer with it."""
    alpha, seed = point
    tuning = TuningSettings(
        form="with_context", objective="cit", cit_alpha=alpha, epochs=amount.epochs, micro_batch_rows=2,
        checkpoint_steps=10**6,
    )  # fmt: skip
    base = Base(weights=engine.weights, settings=MODEL, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        trained = train_adapter(Path(folder), data, base, tuning=tuning, seed=seed, progress=lambda _done, _total: None)
        return Found(trained=trained, f1=f1_of(engine, tested, Adapter(folder=Path(folder), digest=trained.digest)))


def f1_of(engine: TorchEngine, tested: list[Asked], adapter: Adapter | None) -> float:
    """Mean token F1 of greedy answers."""
    answers = engine.complete(prompts(engine, tested), Sampling(max_tokens=48), adapter)
    return sum(token_f1(one.text, _question(of)) for one, of in zip(answers, tested, strict=True)) / len(tested)


def _question(asked: Asked) -> Question:
    return Question(
        question_id=asked.question_id, split="test", question=asked.question, reference=asked.reference,
        key_facts=asked.key_facts, doc_id="", document="", page=1, start=0, end=0, quote="", section=(),
        reference_source="person",
    )  # fmt: skip


def rows_of(alpha: float, runs: list[Found], shape: str) -> list[Row]:
    """Drift of each kind and F1 over the seeds."""
    name = "plain tuning" if alpha == 0 else f"alpha {alpha}"

    def row(op: str, values: list[float], unit: str) -> Row:
        return measured(values, op=op, implementation=name, unit=unit, shape=shape, dtype="bf16")

    last = [found.trained.drift[-1] for found in runs]
    rows = [row(f"cit: drift, {kind}", [getattr(drift, kind) for drift in last], "nats/token") for kind in KINDS]
    return [*rows, row("cit: F1", [found.f1 for found in runs], "")]


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "full")
