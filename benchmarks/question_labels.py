"""Shares of generated question-answer pairs that a reader passed, filtered against unfiltered, with intervals.

    python benchmarks/question_labels.py                      # the committed labels; a second
    python benchmarks/question_labels.py --collect FOLDER     # first takes in FOLDER/pairs.csv, labelled, and its key

`questions.py` draws the pairs. A label is yes or no: answerable from the quote; correct (the reference is a whole and
right answer); stands alone (no pointer to another sentence, page or screen that the question itself does not name).
The committed labels are one reader's, a large language model that did not see which pairs were filtered; no person has
checked them. The cloze pairs are of a second draw (`--seed 1`): what a first one showed went into the filters. The llm
pairs were drawn before that, so that their filters are a little older.

`--collect` writes `labels/questions_GENERATOR.csv`, with the texts: they are of works of the US government (public
domain) and of manuals under the GPL (`agricolae`, `agriTutorial`, the Debian manuals) and AGPL-3+ (`soiltexture`).

Wilson intervals take pairs for independent; the CR2 t intervals beside them are clustered by document.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binomtest

from fourfold.evals.cluster_robust import cluster_mean

FOLDER = Path(__file__).parent / "labels"
LABELS = ("answerable_from_quote", "correct", "stands_alone")
TEXTS = ("document", "page", "question", "reference", "quote")
HIDDEN = ("pair", "filtered", "kind")


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """One pair: labels in the order of LABELS."""

    document: str
    filtered: bool
    labels: tuple[bool, ...]


def main() -> None:
    """Take in what was labelled, if asked; print the shares of every generator."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--collect", type=Path)
    asked = parser.parse_args()
    if asked.collect:
        collect(asked.collect)
    for path in sorted(FOLDER.glob("questions_*.csv")):
        show(path.stem.removeprefix("questions_"), read(path))


def collect(folder: Path) -> None:
    """Join labels and key, a file for each generator.

    Raises:
        ValueError: a pair has no label, or another one than yes and no.
    """
    with (folder / "key.csv").open(encoding="utf-8", newline="") as file:
        key = {row["pair"]: row for row in csv.DictReader(file)}
    by_generator: dict[str, list[dict[str, str]]] = {}
    with (folder / "pairs.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if any(row[label] not in {"yes", "no"} for label in LABELS):
                raise ValueError(f"pair {row['pair']}: every label is yes or no")
            hidden = key[row["pair"]]
            by_generator.setdefault(hidden["generator"], []).append({**row, **hidden})
    FOLDER.mkdir(exist_ok=True)
    for generator, rows in by_generator.items():
        with (FOLDER / f"questions_{generator}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*HIDDEN, *TEXTS, *LABELS], extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def read(path: Path) -> list[Labelled]:
    """One generator's pairs."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Labelled(
                document=row["document"],
                filtered=row["filtered"] == "True",
                labels=tuple(row[label] == "yes" for label in LABELS),
            )
            for row in csv.DictReader(file)
        ]


def show(generator: str, pairs: Sequence[Labelled]) -> None:
    """Shares of each label and of all three, filtered and not, and what the filters gain."""
    passed = {}
    for filtered in (True, False):
        own = [pair for pair in pairs if pair.filtered == filtered]
        print(f"{generator}, {'filtered' if filtered else 'unfiltered'}: {len(own)} pairs")
        for at, label in enumerate(LABELS):
            print(f"  {label.replace('_', ' '):24}{share([p.labels[at] for p in own], own)}")
        passed[filtered] = [all(pair.labels) for pair in own]
        print(f"  {'all three':24}{share(passed[filtered], own)}")
    if all(passed.values()):
        gain = 100 * (sum(passed[True]) / len(passed[True]) - sum(passed[False]) / len(passed[False]))
        print(f"{generator}: the filters lift all three by {gain:+.1f} points")


def share(values: Sequence[bool], pairs: Sequence[Labelled]) -> str:
    """A share with both intervals, percent."""
    wilson = binomtest(sum(values), len(values)).proportion_ci(method="wilson")
    clustered = cluster_mean([float(value) for value in values], [pair.document for pair in pairs])
    by_document = (
        "no interval by document"
        if clustered.low is None or clustered.high is None
        else f"by document [{100 * clustered.low:.0f}, {100 * clustered.high:.0f}]"
    )
    return f"{100 * sum(values) / len(values):5.1f}%  [{100 * wilson.low:.0f}, {100 * wilson.high:.0f}], {by_document}"


if __name__ == "__main__":
    main()
