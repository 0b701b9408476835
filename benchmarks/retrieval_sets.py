"""Public question sets with relevance judgements, as `benchmarks/retrieval.py` searches them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import tokenize
import zipfile
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Name = Literal["agxqa", "nq-oracle", "scifact"]
NAMES: tuple[Name, ...] = ("agxqa", "nq-oracle", "scifact")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question with the ids of its relevant passages; questions of one `cluster` have a passage in common."""

    text: str
    relevant: frozenset[str]
    cluster: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSet:
    """Passages by id, questions that weights are chosen on, and questions that are reported."""

    name: Name
    passages: Mapping[str, str]
    held_out: Sequence[Asked]
    test: Sequence[Asked]


def load(name: Name, folder: Path) -> QuestionSet:
    """One set from the folder of real inputs."""
    if name == "scifact":
        return _scifact(folder / "qa" / "scifact.zip")
    pairs = _agxqa(folder) if name == "agxqa" else _nq(folder)
    ids = {text: f"{at:05}" for at, text in enumerate(dict.fromkeys(text for _, text in pairs))}
    asked = [Asked(text=question, relevant=frozenset([ids[text]]), cluster=ids[text]) for question, text in pairs]
    # A third of the passages: no passage is asked about in both.
    shuffled = random.Random(0).sample(sorted(ids.values()), len(ids))
    held = set(shuffled[: len(ids) // 3])
    return QuestionSet(
        name=name,
        passages={own: text for text, own in ids.items()},
        held_out=[one for one in asked if one.cluster in held],
        test=[one for one in asked if one.cluster not in held],
    )


def _agxqa(folder: Path) -> list[tuple[str, str]]:
    data = json.loads((folder / "qa" / "agxqa_partB.json").read_text(encoding="utf-8"))["data"]
    return [
        (asked["question"], paragraph["context"])
        for document in data
        for paragraph in document["paragraphs"]
        for asked in paragraph["qas"]
    ]


def _nq(folder: Path) -> list[tuple[str, str]]:
    with gzip.open(folder / "qa" / "nq-open-oracle.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [(row["question"], row["ctxs"][0]["text"]) for row in rows]


def _scifact(path: Path) -> QuestionSet:
    with zipfile.ZipFile(path) as archive:
        abstracts = _rows(archive, "corpus_train.csv")
        train, validation = (_claims(_rows(archive, f"claims_{part}.csv")) for part in ("train", "validation"))
    return QuestionSet(
        name="scifact",
        passages={row["doc_id"]: f"{row['title']} {_strings(row['abstract'])}" for row in abstracts},
        held_out=train,
        test=validation,
    )


def _rows(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    with archive.open(name) as raw:
        return list(csv.DictReader(io.TextIOWrapper(raw, "utf-8")))


def _claims(rows: Sequence[Mapping[str, str]]) -> list[Asked]:
    """A row is a claim with one of its pieces of evidence; relevant is what the claim cites, as in BEIR."""
    texts: dict[str, str] = {}
    cited: dict[str, set[str]] = {}
    for row in rows:
        texts[row["id"]] = row["claim"]
        cited.setdefault(row["id"], set()).update(re.findall(r"\d+", row["cited_doc_ids"]))
    return [
        Asked(text=text, relevant=frozenset(cited[own]), cluster=min(cited[own]))
        for own, text in texts.items()
        if cited[own]
    ]


def _strings(printed: str) -> str:
    """The strings of a printed array, joined: numpy prints no commas between them."""
    tokens = tokenize.generate_tokens(io.StringIO(printed.replace("\n", " ")).readline)
    return " ".join(literal_eval(token.string) for token in tokens if token.type == tokenize.STRING)
