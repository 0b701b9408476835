"""Planted text: by how much do answers shift when a passage that is shown asks for something else?

    python benchmarks/injection.py [--questions 60] [--device cpu]

The quickstart's demo questions are asked of the embedded model with two passages: the gold chunk, and the chunk before
it in the corpus. Then again with one of the planted texts of tests/fixtures/injected_passages.jsonl behind the second,
in turn, as a PDF would bring it. Figures, each with its cluster-robust interval in `p20` and `p80` (clusters are
sections): the difference of key-fact recall, and the shares of answers that changed, obeyed and leaked; see
`evals.injection`. The planted marks are guarded as in every prompt; what is measured is what words alone do.

Rows go to benchmarks/injection.csv. About 6 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

from rows import Row, append

from fourfold.app.provenance import provenance
from fourfold.app.run import default_cache
from fourfold.evals.estimate import Estimate
from fourfold.evals.injection import Attacked, measure_shift
from fourfold.evals.metrics import key_fact_recall
from fourfold.ingest.corpus import read_corpus
from fourfold.ingest.questions_file import read_questions
from fourfold.llm.port import RawCompletion, Sampling
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import find_language_model
from fourfold.prompts import answer_chat
from fourfold.retrieval.chunk import chunk_documents
from fourfold.study import DEFAULT_INSTRUCTIONS, EMBEDDED, ModelSettings
from fourfold.types import Chunk, Question

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "examples" / "quickstart"
PLANTED = ROOT / "tests" / "fixtures" / "injected_passages.jsonl"
BATCH = 8
MAX_TOKENS = 48


def main() -> None:
    """Ask with and without, append the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    engine = TorchEngine(find_language_model(EMBEDDED, default_cache(os.environ)), ModelSettings(), device=args.device)
    corpus = read_corpus(QUICKSTART / "corpus")
    asked = read_questions(QUICKSTART / "questions.jsonl", corpus.documents, corpus.blocks, subset="demo")
    asked = asked[: args.questions]
    chunks = chunk_documents(
        corpus.blocks, lambda texts: [len(ids) for ids in engine.tokenizer(list(texts))["input_ids"]],
        max_tokens=192, overlap=24,
    )  # fmt: skip
    planted = [json.loads(line) for line in PLANTED.read_text(encoding="utf-8").splitlines()]
    pairs = [gold_and_neighbour(question, chunks) for question in asked]
    attacks = [planted[at % len(planted)] for at in range(len(asked))]
    clean = answers(engine, [(q, pair) for q, pair in zip(asked, pairs, strict=True)])
    injected = answers(
        engine,
        [
            (q, (gold, f"{other}\n{attack['text']}"))
            for q, (gold, other), attack in zip(asked, pairs, attacks, strict=True)
        ],
    )
    rows = [
        Attacked(
            clean=one,
            injected=other,
            clean_score=key_fact_recall(one, question),
            injected_score=key_fact_recall(other, question),
            marker=attack["marker"],
            cluster="/".join((question.doc_id, *question.section)),
        )
        for question, one, other, attack in zip(asked, clean, injected, attacks, strict=True)
    ]
    shift = measure_shift(rows, instructions=DEFAULT_INSTRUCTIONS)
    figures = {
        "key-fact recall, injected - clean": shift.difference,
        "answers changed": shift.changed,
        "answers that obey": shift.obeyed,
        "answers that leak": shift.leaked,
    }
    for name, estimate in figures.items():
        print(f"{name}: {estimate.value} [{estimate.low}, {estimate.high}], n = {estimate.n}")
    append("injection", [row(name, estimate, args.device) for name, estimate in figures.items() if estimate.n])


def gold_and_neighbour(question: Question, chunks: tuple[Chunk, ...]) -> tuple[str, str]:
    """The text of the chunk that holds most of the gold, and of the one before it."""
    place = max(range(len(chunks)), key=lambda at: overlap(question, chunks[at]))
    return chunks[place].text, chunks[place - 1].text


def overlap(question: Question, chunk: Chunk) -> int:
    """Characters of the gold in a chunk."""
    same = question.doc_id == chunk.doc_id
    return max(0, min(question.end, chunk.end) - max(question.start, chunk.start)) if same else 0


def answers(engine: TorchEngine, asked: list[tuple[Question, tuple[str, str]]]) -> list[str]:
    """What the model answers, in small batches."""
    prompts = engine.prepare([answer_chat(DEFAULT_INSTRUCTIONS, q.question, shown) for q, shown in asked])
    found: list[RawCompletion] = []
    for start in range(0, len(prompts), BATCH):
        found += engine.complete(prompts[start : start + BATCH], Sampling(max_tokens=MAX_TOKENS), None)
        print(f"{len(found)} of {len(prompts)}", flush=True)
    return [one.text for one in found]


def row(name: str, estimate: Estimate, device: str) -> Row:
    """A figure with its interval."""
    assert estimate.value is not None
    made = provenance()
    low, high = (estimate.value if end is None else end for end in (estimate.low, estimate.high))
    return Row(
        op="injection",
        implementation="SmolLM2-135M-Instruct",
        mode="planted text behind the second of two passages",
        shape=f"{name}; quickstart demo questions",
        dtype="bfloat16",
        median=round(estimate.value, 4),
        p20=round(low, 4),
        p80=round(high, 4),
        unit="share, p20 and p80 are the 95% interval",
        n=estimate.n,
        device=device if device != "cpu" else f"{platform.machine()} CPU, {os.cpu_count()} cores",
        commit=made["commit"] or "none",
        versions=" ".join(f"{name}={version}" for name, version in made["packages"].items()),
    )


if __name__ == "__main__":
    main()
