"""Draws question-answer pairs for blind labelling: filtered and unfiltered, of each generator, in mixed order.

    python benchmarks/questions.py STUDY --out FOLDER [--n 100] [--seed 0] [--generators cloze llm]

Writes FOLDER/pairs.csv (what a reader sees: question, reference, quote, and three empty columns to fill in with yes or
no: answerable from the quote, correct, stands alone) and FOLDER/key.csv (pair → generator, filtered or not), which is
not to be looked at before every pair is labelled. Unfiltered pairs are drawn by the same generator from the same
sentences in the same order, with every check left out; of both kinds `--n` are drawn where there are so many.

`llm` asks the study's model, through the store of FOLDER/runs, so that a second call costs nothing.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import random
from collections.abc import Sequence
from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.pipeline import run_stages
from fourfold.app.progress import Reporter
from fourfold.app.run import default_cache
from fourfold.app.stages.ingest import STAGE as INGEST
from fourfold.app.stages.questions import generation_settings, write_texts
from fourfold.ingest.cloze import ClozeGenerator
from fourfold.ingest.generators import Generator, LlmGenerator
from fourfold.store import Store
from fourfold.study_file import load_study
from fourfold.types import Question

LABELS = ("answerable_from_quote", "correct", "stands_alone")


def main() -> None:
    """Draw, mix and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=100, help="pairs of each kind and generator")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--generators", nargs="+", choices=["cloze", "llm"], default=["cloze", "llm"])
    asked = parser.parse_args()
    drawn: list[tuple[str, bool, Question]] = []
    with Store.open(asked.out / "runs") as store:
        context = Context(
            study=load_study(asked.study), store=store, reporter=Reporter(quiet=False), cache=default_cache(os.environ)
        )
        run_stages(context, [INGEST])
        for name in asked.generators:
            for filtered in (True, False):
                generator = make(context, name, seed=asked.seed, filtered=filtered)
                made = generator.generate(context.documents, context.blocks, n_wanted=asked.n).questions
                drawn += [(name, filtered, question) for question in made[: asked.n]]
    write(asked.out, drawn, seed=asked.seed)


def make(context: Context, name: str, *, seed: int, filtered: bool) -> Generator:
    """A generator of the study, with its checks or without."""
    if name == "cloze":
        return ClozeGenerator(seed=seed, filtered=filtered)
    settings = dataclasses.replace(generation_settings(context), seed=seed, filtered=filtered)
    return LlmGenerator(write=lambda chats, n_tokens: write_texts(context, chats, n_tokens), settings=settings)


def write(folder: Path, drawn: Sequence[tuple[str, bool, Question]], *, seed: int) -> None:
    """The pairs in mixed order under numbers that say nothing, and the key."""
    mixed = list(drawn)
    random.Random(seed).shuffle(mixed)
    with (
        (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as pairs,
        (folder / "key.csv").open("w", encoding="utf-8", newline="") as key,
    ):
        shown, hidden = csv.writer(pairs, lineterminator="\n"), csv.writer(key, lineterminator="\n")
        shown.writerow(["pair", "question", "reference", "quote", "document", "page", *LABELS])
        hidden.writerow(["pair", "generator", "filtered", "question_id", "kind"])
        for number, (name, filtered, q) in enumerate(mixed, start=1):
            shown.writerow([number, q.question, q.reference, q.quote, q.document, q.page, *[""] * len(LABELS)])
            hidden.writerow([number, name, filtered, q.question_id, q.kind])
    print(f"{len(mixed)} pairs: {folder / 'pairs.csv'}; key (not to be read before labelling): {folder / 'key.csv'}")


if __name__ == "__main__":
    main()
