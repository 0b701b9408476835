"""Draws question-answer pairs for blind labelling: filtered and unfiltered, of each generator, in mixed order.

    python benchmarks/questions.py STUDY [STUDY …] --out FOLDER [--n 100] [--seed 0] [--generators cloze llm]

Writes FOLDER/pairs.csv (what a reader sees: question, reference, quote, and three empty columns to fill in with yes or
no: answerable from the quote, correct, stands alone) and FOLDER/key.csv (pair → generator, filtered or not), which is
not to be looked at before every pair is labelled. Unfiltered pairs are drawn by the same generator from the same
sentences in the same order, with every check left out. Of both kinds `--n` are drawn, the same number from each study.

`llm` asks the studies' model, through the store of FOLDER/runs, so that a second call costs nothing; 200 pairs of the
embedded model take about 4 minutes of CPU. `question_labels.py` computes the shares of what was labelled.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import random
from collections.abc import Iterator, Sequence
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
    parser.add_argument("studies", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=100, help="pairs of each kind and generator")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--generators", nargs="+", choices=["cloze", "llm"], default=["cloze", "llm"])
    asked = parser.parse_args()
    drawn: list[tuple[str, bool, Question]] = []
    with Store.open(asked.out / "runs") as store:
        for study in asked.studies:
            context = Context(
                study=load_study(study), store=store, reporter=Reporter(quiet=False), cache=default_cache(os.environ)
            )
            run_stages(context, [INGEST])
            drawn += draw(context, asked.generators, n_wanted=asked.n // len(asked.studies), seed=asked.seed)
    write(asked.out, drawn, seed=asked.seed)


def draw(
    context: Context, generators: Sequence[str], *, n_wanted: int, seed: int
) -> Iterator[tuple[str, bool, Question]]:
    """Generator, whether filtered, and question; over every document of the study."""
    for name in generators:
        for filtered in (True, False):
            generator = make(context, name, seed=seed, filtered=filtered)
            made = generator.generate(context.documents, context.blocks, n_wanted=n_wanted).questions
            for question in made[:n_wanted]:
                yield name, filtered, question


def make(context: Context, name: str, *, seed: int, filtered: bool) -> Generator:
    """A generator of the study, with its checks or without; it need not find something to ask in every document."""
    covered = frozenset(document.doc_id for document in context.documents)
    if name == "cloze":
        return ClozeGenerator(seed=seed, filtered=filtered, covered=covered)
    settings = dataclasses.replace(generation_settings(context), seed=seed, filtered=filtered, covered=covered)
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
