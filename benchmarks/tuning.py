"""Examples a second of LoRA tuning on the NF4-rounded base, CPU: ours against TRL's SFTTrainer (imported, trl 1.16).

    python benchmarks/tuning.py              # about an hour alone on 2 cores
    python benchmarks/tuning.py agxqa        # as long; needs FOURFOLD_TEST_DATA
    python benchmarks/tuning.py tiny         # two minutes: whether it works; appends nothing

Ours trains once as `tuning.attention: sdpa` and once as `segment`. The quickstart's questions show a passage each that
no other shows; of AgXQA's, several ask about one paragraph. Half of the rows are the same questions without passages.
All train the same rows in the same order from the same initial weights: same base, dtype, learning rate, batch, no
activation checkpointing. Each runs in a process of its own, alternating, with the largest micro-batch that stays under
16 GB; TRL's defaults (activation checkpointing, micro-batch 8) once besides. The mean loss over the steps must be equal
within 1%, or nothing is appended. A figure is of the steps after the first; memory is the process's largest resident
set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rows import Row, append, measured

LIMIT_GB = 16.0
N_REPEATS = 3
BATCH = 8
MICRO = (1, 2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much is trained: questions of the quickstart with passages of so many characters, or AgXQA's paragraphs."""

    n_questions: int = 0
    characters: int = 0
    n_paragraphs: int = 0


WORK = {
    "quickstart": Work(n_questions=40, characters=1200),
    "agxqa": Work(n_paragraphs=12),
    "tiny": Work(n_questions=8, characters=150),
}
OURS = {"fourfold": "sdpa", "fourfold, segment": "segment"}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One process."""

    examples_per_s: float
    loss: float
    peak_gb: float
    shape: str


def main(size: str) -> None:
    """Measure and append."""
    micro = {name: largest_micro_batch(name, size) for name in (*OURS, "trl")}
    runs: dict[str, list[Run]] = {name: [] for name in micro}
    for _ in range(1 if size == "tiny" else N_REPEATS):
        for name, found in runs.items():
            found.append(run(name, micro[name], size))
    runs["trl defaults"] = [run("trl defaults", 8, size)]
    losses = {name: fmean(one.loss for one in found) for name, found in runs.items()}
    rows = [row for name, found in runs.items() for row in rows_of(name, micro.get(name, 8), found)]
    rows += [times(runs, name, "trl") for name in OURS] + [times(runs, "fourfold, segment", "fourfold")]
    for row in rows:
        print(f"{row.op:38} {row.implementation:18} {row.mode:36} {row.median:9.3f} {row.unit}")
    print("loss: " + ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()))
    if any(abs(losses[name] / losses["trl"] - 1) > 0.01 for name in OURS):
        sys.exit("the losses differ by more than 1%: they do not train the same")
    if size != "tiny":
        print(append("tuning", rows))


def times(runs: dict[str, list[Run]], name: str, rival: str) -> Row:
    """Examples a second over the rival's, run by run."""
    ratios = [a.examples_per_s / b.examples_per_s for a, b in zip(runs[name], runs[rival], strict=True)]
    return measured(ratios, op=f"tuning, times the examples/s of {rival}", implementation=name, unit="×",
                    shape=runs[name][0].shape, dtype="bf16")  # fmt: skip


def largest_micro_batch(name: str, size: str) -> int:
    """The largest of MICRO whose process stays under the limit; stops before one that would surely go over it."""
    best, peaks = MICRO[0], [run(name, MICRO[0], size).peak_gb]
    for micro in MICRO[1:]:
        if peaks[-1] + (peaks[-1] - peaks[0] or 0) > LIMIT_GB:
            break
        peaks.append(run(name, micro, size).peak_gb)
        if peaks[-1] > LIMIT_GB:
            break
        best = micro
    return best


def rows_of(name: str, micro: int, runs: list[Run]) -> list[Row]:
    """Speed and memory of one implementation."""
    mode = f"micro-batch {micro}" + (", activation checkpointing" if name == "trl defaults" else "")

    def row(op: str, values: list[float], unit: str) -> Row:
        return measured(values, op=op, implementation=name, mode=mode, unit=unit, shape=runs[0].shape, dtype="bf16")

    return [
        row("tuning, examples", [one.examples_per_s for one in runs], "examples/s"),
        row("tuning, peak memory", [one.peak_gb for one in runs], "GB"),
    ]


def run(name: str, micro: int, size: str) -> Run:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "worker", name, str(micro), size]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.read()
        # wait4 gives this child's own peak.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{name} with micro-batches of {micro} ended with {process.returncode}")
    return Run(peak_gb=usage.ru_maxrss * 1024 / 1e9, **json.loads(told.splitlines()[-1]))


def work(name: str, micro: int, size: str) -> None:
    """In the process that is measured: train and print what came of it."""
    from tuning_rows import agxqa, read_asked, with_contexts

    from fourfold.app.run import default_cache
    from fourfold.llm.torch_engine import TorchEngine
    from fourfold.llm.weights import find_language_model
    from fourfold.study import ModelSettings, TuningSettings
    from fourfold.tuning.order import order_rows

    weights = find_language_model("embedded", default_cache(os.environ))
    model = ModelSettings()
    amount = WORK[size]
    engine = TorchEngine(weights, model, device="cpu")
    if amount.n_paragraphs:
        rows = agxqa(engine, n_paragraphs=amount.n_paragraphs, closed=True)
    else:
        asked = read_asked(n=amount.n_questions, characters=amount.characters)
        rows = with_contexts(engine, asked, closed=True)
    tuning = TuningSettings(
        batch_rows=BATCH, micro_batch_rows=micro, checkpoint_steps=10**6, drift_documents=0,
        attention=OURS.get(name, "sdpa"),
    )  # fmt: skip
    times: list[float] = []

    def progress(_done: int, _total: int) -> None:
        times.append(time.perf_counter())

    # Steps as segment attention asks for them; longest first in each, so that TRL too pads little.
    ordered = order_rows(rows, epochs=1, batch_rows=BATCH, seed=0, shared=True)
    ordered = [
        row
        for start in range(0, len(ordered), BATCH)
        for row in sorted(ordered[start : start + BATCH], key=lambda row: -row.n_tokens)
    ]
    with tempfile.TemporaryDirectory() as folder:
        trainer = (ours if name in OURS else trl)(ordered, tuning, Path(folder), weights, model, progress)
        if name == "trl defaults":
            trainer.model.enable_input_require_grads()
            trainer.model.gradient_checkpointing_enable()
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    n_timed = len(ordered) - BATCH
    longest = max(row.n_tokens for row in rows)
    shape = f"{len(rows)} rows, {sum(row.n_tokens for row in rows)} tokens, longest {longest}, batch {BATCH}"
    found = {"examples_per_s": n_timed / (times[-1] - times[0]), "loss": fmean(losses), "shape": shape}
    print(json.dumps(found))


def ours(rows: Any, tuning: Any, folder: Path, weights: Any, model: Any, progress: Any) -> Any:
    """Our trainer as `train_adapter` makes it."""
    from fourfold.tuning import train

    base = train.Base(weights=weights, settings=model, device="cpu")
    peft_model = fresh(weights, model, tuning)
    place = (folder, 0, progress)
    return train._trainer(peft_model, rows, train.TrainingSet(rows=rows), base, tuning=tuning, place=place)  # noqa: SLF001


def trl(rows: Any, tuning: Any, folder: Path, weights: Any, model: Any, progress: Any) -> Any:
    """TRL's trainer over the same token ids."""
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from fourfold.llm.load import load_tokenizer
    from fourfold.tuning.trainer import training_arguments

    class Timed(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            progress(state.global_step, state.max_steps)

    class Ordered(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, train_dataset: object = None) -> object:  # noqa: ARG002
            return torch.utils.data.SequentialSampler(rows)

    encoded = [
        {
            "input_ids": list(row.prompt_ids + row.answer_ids),
            "completion_mask": [0] * len(row.prompt_ids) + [1] * len(row.answer_ids),
        }
        for row in rows
    ]
    arguments = training_arguments(tuning, folder, n_rows=len(rows), seed=0, device="cpu")
    return Ordered(
        model=fresh(weights, model, tuning),
        args=SFTConfig(
            **arguments,
            max_length=None,
            completion_only_loss=True,
            activation_checkpointing=False,
            bf16=True,
            per_device_train_batch_size=tuning.micro_batch_rows,
            gradient_accumulation_steps=BATCH // tuning.micro_batch_rows,
        ),
        train_dataset=Dataset.from_list(encoded),
        processing_class=load_tokenizer(weights),
        callbacks=[Timed()],
    )


def fresh(weights: Any, model: Any, tuning: Any) -> Any:
    """The base with the initial adapter of seed 0."""
    import torch

    from fourfold.llm.load import load_base
    from fourfold.llm.quiet import quiet_transformers
    from fourfold.tuning.methods import with_adapter

    torch.manual_seed(0)
    with quiet_transformers():
        return with_adapter(load_base(weights, model, device="cpu"), tuning)


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        work(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else "quickstart")
