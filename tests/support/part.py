"""A piece of the quickstart for runs on the embedded weights: twelve pages of its corpus and six of its questions."""

from __future__ import annotations

import json
from pathlib import Path

import pymupdf
import yaml
from support.pdfs import QUICKSTART

SOURCE = "developers-reference.pdf"
FIRST, LAST = 26, 37
N_QUESTIONS = 6


def write_part(folder: Path) -> Path:
    """Corpus, questions and study file; the study's path."""
    corpus = folder / "pdfs"
    corpus.mkdir(parents=True)
    with pymupdf.open(QUICKSTART / SOURCE) as whole, pymupdf.open() as part:
        part.insert_pdf(whole, from_page=FIRST - 1, to_page=LAST - 1)
        part.save(corpus / "part.pdf")
    lines = (QUICKSTART.parent / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["document"] == SOURCE and FIRST <= row["page"] <= LAST]
    moved = [{**row, "document": "part.pdf", "page": row["page"] - FIRST + 1} for row in rows[:N_QUESTIONS]]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in moved), encoding="utf-8")
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({
        "name": "smoke",
        "corpus": {"folder": "pdfs"},
        "questions": {"file": "questions.jsonl", "n_tuning": 4, "max_question_tokens": 24, "max_reference_tokens": 16},
        "retrieval": {"k": 2},
        "tuning": {"batch_rows": 4, "micro_batch_rows": 2, "checkpoint_steps": 1},
        "answer": {"max_tokens": 12},
    }), encoding="utf-8")  # fmt: skip
    return path
