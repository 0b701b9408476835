"""How fast the torch engine answers and scores, as ratios to transformers itself in one run; and how far they agree.

    python benchmarks/engines.py [CASE ...]     cases: shared own adapter score (all without any)
    python benchmarks/engines.py agreement      bf16 answers against transformers' own, and those against themselves

On the embedded model in bf16; rivals get the same prompts and weights. Cases append to `engines.csv`; their prompts are
random tokens, and a ratio holds for their lengths. Agreement prints: its prompts are the quickstart's questions, each
with the page that answers it. Let nothing else run: with two threads on two cores every other process stops both.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymupdf
import torch
from rows import FOLDER, Row, append, measured

from fourfold.app.run import default_cache
from fourfold.llm.load import load_base
from fourfold.llm.port import Adapter, Chat, Prompt, Sampling
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights, find_language_model
from fourfold.prompts import answer_chat
from fourfold.study import AnswerSettings, ModelSettings

SETTINGS = ModelSettings(dtype="bfloat16", quantisation="none")
N_REPEATS = 3
N_RATED = 400
# Real questions, and what of a page is shown with each: about 500 tokens.
N_REAL = 48
PAGE_CHARACTERS = 2000
Ids = tuple[int, ...]
Answers = list[Ids]


@dataclass(frozen=True, kw_only=True)
class Work:
    """Prompts and what is asked of them; `shape` says how much it is."""

    rows: list[Ids]
    max_tokens: int
    shape: str


def main(cases: Sequence[str]) -> None:
    """Run cases."""
    weights = find_language_model("embedded", default_cache(os.environ))
    engine = TorchEngine(weights, SETTINGS, device="cpu")
    if "agreement" in cases:
        print_agreement(engine)
        return
    known = {"shared": shared, "own": own, "adapter": adapted, "score": scored}
    rows = [row for name in cases or known for row in known[name](engine)]
    for row in rows:
        print(f"{row.op:34} {row.implementation:30} {row.median:9.2f} {row.unit:6} {row.mode}")
    print(append("engines", rows))


def shared(engine: TorchEngine) -> list[Row]:
    """Prompts that share a long beginning."""
    return against_generate(engine, "answer, shared prefix", shared_work())


def own(engine: TorchEngine) -> list[Row]:
    """Prompts with contexts of their own."""
    return against_generate(engine, "answer, own contexts", own_work())


def against_generate(engine: TorchEngine, op: str, work: Work) -> list[Row]:
    """Our seconds, transformers' and their ratio, alternating so that both meet the same machine."""
    model = engine.load()

    return ratio_rows(
        op,
        work.shape,
        {
            "fourfold": lambda: complete(engine, work, None),
            "transformers generate": lambda: generate(engine, model, work.rows, work.max_tokens),
        },
    )


def adapted(engine: TorchEngine) -> list[Row]:
    """What an unmerged LoRA adapter of rank 16 on all linear layers costs."""
    with tempfile.TemporaryDirectory() as folder:
        adapter = make_adapter(engine.weights, Path(folder))
        work = own_work()
        # Its own engine, so that the base is measured without PEFT's layers.
        other = TorchEngine(engine.weights, SETTINGS, device="cpu")
        return ratio_rows(
            "answer, own contexts, adapter",
            work.shape,
            {
                "fourfold, no adapter": lambda: complete(engine, work, None),
                "fourfold, adapter": lambda: complete(other, work, adapter),
            },
        )


def scored(engine: TorchEngine) -> list[Row]:
    """Rating prompts under one rubric, with and without sharing it."""
    prompts = [Prompt(token_ids=ids) for ids in rating_rows()]
    ratings = [["1", "2", "3", "4", "5"]] * len(prompts)

    def together() -> Answers:
        engine.score(prompts, ratings, None)
        return []

    def alone() -> Answers:
        # One by one there is nothing to share; a row of 750 tokens fills the linear layers all the same.
        for prompt, asked in zip(prompts, ratings, strict=True):
            engine.score([prompt], [asked], None)
        return []

    # Once unmeasured: the model loads and kernels are chosen.
    engine.score(prompts[:2], ratings[:2], None)
    n_tokens = [len(prompt.token_ids or ()) for prompt in prompts]
    shape = f"{len(prompts)} prompts of {min(n_tokens)}-{max(n_tokens)} tokens, 600 of them shared, 5 ratings"
    return ratio_rows("score", shape, {"fourfold": together, "fourfold, nothing shared": alone}, n=1)


def ratio_rows(op: str, shape: str, ways: dict[str, Callable[[], Answers]], *, n: int = N_REPEATS) -> list[Row]:
    """Seconds of two ways, taken in turns, and the second's over the first's; `mode` says how long the answers were."""
    if n > 1:
        # Once unmeasured: kernels are chosen and an adapter is loaded at the first call.
        for way in ways.values():
            way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    modes = {}
    for _ in range(n):
        for name, way in ways.items():
            started = time.perf_counter()
            answers = way()
            seconds[name].append(time.perf_counter() - started)
            modes[name] = f"{sum(map(len, answers)) / len(answers):.1f} tokens an answer" if answers else ""
    rows = [
        measured(values, op=op, implementation=name, unit="s", shape=shape, dtype="bf16", mode=modes[name])
        for name, values in seconds.items()
    ]
    first, second = seconds.values()
    ratios = [b / a for a, b in zip(first, second, strict=True)]
    name = " / ".join(reversed(ways))
    return [*rows, measured(ratios, op=op, implementation=name, unit="ratio", shape=shape, dtype="bf16")]


def complete(engine: TorchEngine, work: Work, adapter: Adapter | None) -> Answers:
    """Our answers."""
    prompts = [Prompt(token_ids=ids) for ids in work.rows]
    return [done.token_ids or () for done in engine.complete(prompts, Sampling(max_tokens=work.max_tokens), adapter)]


def generate(
    engine: TorchEngine, model: Any, rows: Sequence[Ids], max_tokens: int, *, batch: int | None = None
) -> Answers:
    """What transformers answers itself, in batches of neighbours in length."""
    order = sorted(range(len(rows)), key=lambda at: -len(rows[at]))
    batch = batch or len(rows)
    found: dict[int, Ids] = {}
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        padded = engine.tokenizer.pad({"input_ids": [list(rows[at]) for at in places]}, return_tensors="pt")
        with torch.inference_mode(), quiet_transformers():
            sequences = model.generate(
                **padded, max_new_tokens=max_tokens, do_sample=False, pad_token_id=engine.tokenizer.pad_token_id
            )
        width = padded["input_ids"].shape[1]
        ends = {engine.tokenizer.eos_token_id}
        for at, ids in zip(places, sequences[:, width:].tolist(), strict=True):
            end = next((place for place, token in enumerate(ids, start=1) if token in ends), len(ids))
            found[at] = tuple(ids[:end])
    return [found[at] for at in range(len(rows))]


def make_adapter(weights: Weights, folder: Path) -> Adapter:
    """A LoRA adapter of rank 16 on all linear layers with random matrices."""
    with torch.random.fork_rng(), quiet_transformers():
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(0)
        config = LoraConfig(
            r=16, lora_alpha=1, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
        )
        get_peft_model(load_base(weights, SETTINGS, device="cpu"), config).save_pretrained(folder)
    return Adapter(folder=folder, digest="0" * 64)


def shared_work() -> Work:
    """32 prompts: 512 tokens of all, 32 of their own."""
    beginning = words(512, 0)
    rows = [beginning + words(32, seed) for seed in range(1, 33)]
    return Work(rows=rows, max_tokens=64, shape="32 prompts, 512 tokens shared + 32 own, 64 new")


def own_work() -> Work:
    """60 prompts like the quickstart's: instructions of 60 tokens, then contexts of their own."""
    instructions = words(60, 0)
    rows = [instructions + words(490 + seed % 7 * 9, seed) for seed in range(1, 61)]
    return Work(rows=rows, max_tokens=40, shape="60 prompts of 550-604 tokens, 60 shared, 40 new")


def rating_rows() -> list[Ids]:
    """400 prompts under one rubric of 600 tokens."""
    rubric = words(600, 0)
    return [rubric + words(40 + seed % 12 * 10, seed) for seed in range(1, N_RATED + 1)]


def words(n: int, seed: int) -> Ids:
    """Tokens of no meaning, none of them special: what matters to time is their number."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(100, 40_000, (n,), generator=generator).tolist())


def print_agreement(engine: TorchEngine) -> None:
    """How often bf16 answers are the same, and how close the two likeliest tokens are where they first differ."""
    rows = [prompt.token_ids or () for prompt in engine.prepare(real_chats())]
    model = engine.load()
    answers = {
        "transformers, batches of 8": generate(engine, model, rows, 40, batch=8),
        "transformers, batches of 12": generate(engine, model, rows, 40, batch=12),
        "fourfold": complete(engine, Work(rows=rows, max_tokens=40, shape=""), None),
        "fourfold, half at a time": [
            ids
            for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :])
            for ids in complete(engine, Work(rows=part, max_tokens=40, shape=""), None)
        ],
    }
    exact = load_base(engine.weights, ModelSettings(dtype="float32", quantisation="none"), device="cpu")
    names = list(answers)
    for one, other in ((names[0], names[1]), (names[0], names[2]), (names[1], names[2]), (names[2], names[3])):
        pairs = list(zip(rows, answers[one], answers[other], strict=True))
        print(f"{one} = {other}: {sum(a == b for _, a, b in pairs)} of {len(pairs)}")
        for number, (row, a, b) in enumerate(pairs):
            if a != b:
                at = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
                print(f"  prompt {number}, token {at}: the two likeliest are {gap(exact, row + a[:at]):.3f} apart")


def gap(model: Any, ids: Ids) -> float:
    """Difference of the two largest float32 logits after these tokens."""
    with torch.inference_mode():
        logits = model(torch.tensor([ids]), use_cache=False, logits_to_keep=1).logits[0, -1]
    first, second = logits.topk(2).values.tolist()
    return float(first - second)


def real_chats() -> list[Chat]:
    """The quickstart's own questions, each with the page that answers it."""
    folder = FOLDER.parent / "examples" / "quickstart"
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    chats = []
    for asked in [one for one in questions if one.get("page")][:N_REAL]:
        with pymupdf.open(folder / "corpus" / asked["document"]) as document:
            page = document[asked["page"] - 1].get_text()
        instructions = AnswerSettings().instructions
        chats.append(answer_chat(instructions, asked["question"], [page[:PAGE_CHARACTERS]]))
    return chats


if __name__ == "__main__":
    main(sys.argv[1:])
