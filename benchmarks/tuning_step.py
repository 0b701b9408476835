"""A whole tuning step on shared contexts against the same step without sharing, and against transformers with PEFT.

    python benchmarks/tuning_step.py [CASE ...] [--tiny]     cases: 512/64/4 512/64/8 questions (all without any)

SmolLM2-135M in bf16 with a LoRA adapter of rank 16 on every linear layer, on a GPU if there is one, else on the CPU.
512/64/4: a context of 512 tokens that 4 examples of 64 more share, half of those the answer. `questions`: AgXQA's real
questions over their paragraphs (needs FOURFOLD_TEST_DATA). A step is planning, forward, backward and AdamW. All ways
see the same examples, in turns, and their losses must agree within 1%: in bf16 they are sums in another order. About 10
minutes on 2 cores; rows go to `tuning_step.csv`. `--tiny`: two layers and short rows, to see that it runs; writes
nothing. Let nothing else run.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rows import Row, append, measured
from tuning_rows import agxqa

from fourfold.app.run import default_cache
from fourfold.kernels.lora_linear import adapt
from fourfold.llm.load import load_base
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import find_language_model
from fourfold.study import ModelSettings
from fourfold.tuning.attention import use_segment_attention
from fourfold.tuning.batches import collate
from fourfold.tuning.prefix_tree import Branch
from fourfold.tuning.rows import TuningRow
from fourfold.tuning.shared_rows import lay_out, plan_shared, shared_loss

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
SETTINGS = ModelSettings(dtype="bfloat16", quantisation="none")
N_REPEATS = 10 if CUDA else 3
# The first of AgXQA's 155 paragraphs: a step over all of them reads 120,000 tokens unshared.
N_PARAGRAPHS = 16
# Tokens of a pass: a group of 8 unshared examples, or four of 4 shared.
BUDGET = 4608
Step = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Work:
    """The examples of one step."""

    rows: Sequence[TuningRow]
    shape: str


def main(arguments: Sequence[str]) -> None:
    """Run cases."""
    tiny = "--tiny" in arguments
    cases = [name for name in arguments if not name.startswith("--")] or ["512/64/4", "512/64/8", "questions"]
    rows = [
        row for name in cases for row in compare(questions(tiny) if name == "questions" else made(name, tiny), tiny)
    ]
    for row in rows:
        print(f"{row.op:14} {row.implementation:64} {row.median:9.3f} {row.unit:10} {row.shape}")
    if not tiny:
        print(append("tuning_step", rows))


def made(name: str, tiny: bool) -> Work:
    """Random tokens, none of them special: what matters to time is their number."""
    context, suffix, n = (int(part) // (8 if tiny and at < 2 else 1) for at, part in enumerate(name.split("/")))
    random = torch.Generator().manual_seed(0)

    def words(length: int) -> tuple[int, ...]:
        return tuple(torch.randint(100, 40_000, (length,), generator=random).tolist())

    shared = words(context)
    rows = [
        TuningRow(
            question_id=str(number),
            form="with contexts",
            prompt_ids=shared + words(suffix - suffix // 2),
            answer_ids=words(suffix // 2),
        )
        for number in range(n)
    ]
    return Work(rows=rows, shape=f"{n} examples, {context} tokens shared + {suffix} own, {suffix // 2} of them answer")


def questions(tiny: bool) -> Work:
    """AgXQA's questions, each with its paragraph as the only context."""
    n_paragraphs = 2 if tiny else N_PARAGRAPHS
    engine = TorchEngine(find_language_model("embedded", default_cache(os.environ)), SETTINGS, device="cpu")
    rows = agxqa(engine, n_paragraphs=n_paragraphs, closed=False)
    return Work(rows=rows, shape=f"AgXQA, {len(rows)} questions over {n_paragraphs} paragraphs")


def compare(work: Work, tiny: bool) -> list[Row]:
    """Seconds of every way, taken in turns, each rival's over ours, and how far losses are apart."""
    ways = make_ways(work, n_layers=2 if tiny else None)
    # Once unmeasured: kernels are chosen.
    losses = {name: way() for name, way in ways.items()}
    ours, *rivals = ways
    for name in rivals:
        apart = abs(losses[name] / losses[ours] - 1)
        assert apart < 0.01, f"{name} has loss {losses[name]}, {ours} {losses[ours]}"
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 if tiny else N_REPEATS):
        for name, way in ways.items():
            seconds[name].append(timed(way))
    rows = [row(values, name, "s", work) for name, values in seconds.items()]
    rows += [row([len(work.rows) / s for s in values], name, "examples/s", work) for name, values in seconds.items()]
    for name in rivals:
        ratios = [rival / own for rival, own in zip(seconds[name], seconds[ours], strict=True)]
        rows.append(row(ratios, f"{name} / {ours}", "ratio", work))
        rows.append(row([abs(losses[name] / losses[ours] - 1)], f"{name}, loss apart from ours", "share", work))
    counts = [n_tokens(work, trees) for trees in (None, alone(work))]
    return [*rows, row([counts[1] / counts[0]], "tokens unshared / shared", "ratio", work)]


def make_ways(work: Work, *, n_layers: int | None) -> dict[str, Step]:
    """Steps that give their mean loss a token of answer, on equal models of their own; ours first."""
    fused, ours, packed, stock = (load(n_layers) for _ in range(4))
    adapt(fused, rank=16, alpha=32, generator=torch.Generator().manual_seed(0))
    peft_models = [with_peft(model) for model in (ours, packed, stock)]
    for model in (fused, ours, packed):
        use_segment_attention(model)
    return {
        "shared, lora_linear": shared_step(fused, fused, work, None),
        "shared, PEFT layers": shared_step(ours, peft_models[0], work, None),
        "unshared packed, PEFT layers": shared_step(packed, peft_models[1], work, alone(work)),
        "transformers + PEFT, padded, own loss": stock_step(peft_models[2], work),
    }


def load(n_layers: int | None) -> Any:
    """The base, cut to its first layers where asked."""
    model = load_base(find_language_model("embedded", default_cache(os.environ)), SETTINGS, device=DEVICE)
    model.model.layers = model.model.layers[:n_layers]
    return model.train()


def with_peft(model: Any) -> Any:
    """The model with PEFT's adapter, B at 0 as it begins."""
    with quiet_transformers():
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        return get_peft_model(model, config).train()


def alone(work: Work) -> tuple[Branch, ...]:
    """Trees that share nothing."""
    return tuple(Branch(row=number, start=0, end=one.n_tokens) for number, one in enumerate(work.rows))


def n_tokens(work: Work, trees: tuple[Branch, ...] | None) -> int:
    """Tokens that a step reads."""
    return sum(batch.table.n_tokens for batch in plan(work, trees))


def plan(work: Work, trees: tuple[Branch, ...] | None) -> Any:
    """Passes of a step; planning is part of what a step costs."""
    if trees is None:
        return plan_shared(work.rows, budget=BUDGET, n_vocabulary=49_152, documents=False)
    return lay_out(work.rows, trees, budget=BUDGET, n_vocabulary=49_152, documents=False)


def shared_step(student: Any, trained: Any, work: Work, trees: tuple[Branch, ...] | None) -> Step:
    """Our step: plan, passes, AdamW."""
    n_answer = sum(len(one.answer_ids) for one in work.rows)

    def losses() -> list[torch.Tensor]:
        found = []
        for batch in plan(work, trees):
            with torch.autocast(DEVICE, dtype=torch.bfloat16):
                loss = shared_loss(student, batch.to(DEVICE)).answer_nll / n_answer
            loss.backward()
            found.append(loss.detach())
        return found

    return optimised(trained, losses)


def stock_step(peft_model: Any, work: Work) -> Step:
    """What a user of transformers and PEFT gets: rows padded to the longest, in batches of 8, the model's own loss."""
    n_answer = sum(len(one.answer_ids) for one in work.rows)

    def losses() -> list[torch.Tensor]:
        found = []
        for start in range(0, len(work.rows), 8):
            some = work.rows[start : start + 8]
            batch = {name: value.to(DEVICE) for name, value in collate(some, pad_id=0).items()}
            lengths = torch.tensor([one.n_tokens for one in some], device=DEVICE)
            mask = (torch.arange(batch["labels"].shape[1], device=DEVICE) < lengths[:, None]).long()
            with torch.autocast(DEVICE, dtype=torch.bfloat16):
                loss = peft_model(**batch, attention_mask=mask, num_items_in_batch=n_answer, use_cache=False).loss
            loss.backward()
            found.append(loss.detach())
        return found

    return optimised(peft_model, losses)


def optimised(model: Any, losses: Callable[[], list[torch.Tensor]]) -> Step:
    """A whole step. The learning rate is 0: every repetition sees the same weights, and losses can be compared."""
    optimiser = torch.optim.AdamW([part for part in model.parameters() if part.requires_grad], lr=0.0)

    def step() -> float:
        found = losses()
        optimiser.step()
        optimiser.zero_grad()
        return float(torch.stack(found).sum())

    return step


def row(values: Sequence[float], implementation: str, unit: str, work: Work) -> Row:
    """A row of this device."""
    made_row = measured(
        values, op="tuning step", implementation=implementation, unit=unit, shape=work.shape, dtype="bf16"
    )
    return dataclasses.replace(made_row, device=torch.cuda.get_device_name()) if CUDA else made_row


def timed(way: Step) -> float:
    """Seconds; a step ends in reading its loss, which waits for the device."""
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(sys.argv[1:])
