"""Public questions with their passages, read from the folder of real inputs: what the retrieval benchmarks ask."""

from __future__ import annotations

import ast
import csv
import gzip
import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from fourfold.types import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question: any of `references` in the contexts is a hit; `passage` is the chunk id of its gold."""

    question_id: str
    question: str
    references: tuple[str, ...]
    passage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A SciFact claim with one cited abstract: its sentences, places of the evidence, and what it does to the claim."""

    claim: str
    abstract: tuple[str, ...]
    evidence: tuple[int, ...]
    label: str


def read_agxqa(folder: Path) -> tuple[list[Chunk], list[Asked]]:
    """AgXQA's paragraphs, and its questions in their order."""
    articles = json.loads((folder / "agxqa_partB.json").read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    chunks = [passage(f"ag{number}", paragraph["context"]) for number, paragraph in enumerate(paragraphs)]
    asked = [
        Asked(
            question_id=f"{chunk.doc_id}-{at}",
            question=row["question"],
            references=tuple(answer["text"] for answer in row["answers"]),
            passage=chunk.chunk_id,
        )
        for chunk, paragraph in zip(chunks, paragraphs, strict=True)
        for at, row in enumerate(paragraph["qas"])
    ]
    return chunks, asked


def read_nq(folder: Path, n: int) -> tuple[list[Chunk], list[Asked]]:
    """The first `n` questions of NQ with their gold passages."""
    with gzip.open(folder / "nq-open-oracle.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for _, line in zip(range(n), file, strict=False)]
    chunks = [passage(f"nq{number}", row["ctxs"][0]["text"]) for number, row in enumerate(rows)]
    asked = [
        Asked(
            question_id=chunk.doc_id, question=row["question"], references=tuple(row["answers"]), passage=chunk.chunk_id
        )
        for chunk, row in zip(chunks, rows, strict=True)
    ]
    return chunks, asked


def read_scifact(folder: Path) -> list[Claim]:
    """SciFact's training claims with the abstracts that they cite."""
    with zipfile.ZipFile(folder / "scifact.zip") as archive:
        corpus = {row["doc_id"]: row for row in _rows(archive, "corpus_train.csv")}
        claims = _rows(archive, "claims_train.csv")
    cited = [
        (row, doc_id)
        for row in claims
        for doc_id in ([row["evidence_doc_id"]] if row["evidence_doc_id"] else _numbers(row["cited_doc_ids"]))
    ]
    return [
        Claim(
            claim=row["claim"],
            abstract=_sentences(corpus[doc_id]["abstract"]),
            evidence=tuple(int(at) for at in _numbers(row["evidence_sentences"])),
            label=row["evidence_label"],
        )
        for row, doc_id in cited
        if doc_id in corpus
    ]


def read_begin(folder: Path) -> list[tuple[str, str, bool]]:
    """BEGIN's development set: knowledge, response, and whether people found it fully attributable."""
    with (folder / "begin_dev_wow.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [(row["knowledge"], row["response"], row["begin_label"] == "Fully attributable") for row in rows]


def read_hotpot(folder: Path) -> list[tuple[str, str, bool]]:
    """HotpotQA's distractor setting: passage, question, and whether a supporting fact stands in it."""
    rows = json.loads((folder / "hotpot_distractor_100.json").read_text(encoding="utf-8"))
    return [
        (_text(title, sentences), row["question"], title in row["supporting_facts"]["title"])
        for row in rows
        for title, sentences in zip(row["context"]["title"], row["context"]["sentences"], strict=True)
    ]


def _text(title: str, sentences: list[str]) -> str:
    return f"{title}. {' '.join(sentence.strip() for sentence in sentences)}"


def passage(name: str, text: str) -> Chunk:
    """A bare passage as a chunk."""
    return Chunk(
        chunk_id=name.encode().hex().ljust(24, "0"),
        doc_id=name,
        position=0,
        start=0,
        end=len(text),
        page_first=1,
        page_last=1,
        section=(),
        n_tokens=len(text.split()),
        text=text,
    )


def _rows(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    with archive.open(name) as file:
        return list(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")))


def _numbers(text: str) -> list[str]:
    return text.strip("[]").replace(",", " ").split()


def _sentences(text: str) -> tuple[str, ...]:
    """An array of sentences as numpy prints it: quoted, with nothing but white space between two."""
    try:
        # Without commas two literals side by side would be one.
        found = ast.literal_eval(re.sub(r"(['\"])\n (?=['\"])", r"\1, ", text))
    except (SyntaxError, ValueError):
        return (text.strip("[]"),)
    return tuple(str(sentence).strip() for sentence in found)
