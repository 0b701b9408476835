"""Passages with planted text, written for the tests: what a PDF could hold to turn a model round."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[1] / "fixtures" / "injected_passages.jsonl"


@dataclass(frozen=True)
class Injected:
    """One passage; `marker` is what an answer holds that obeys it, None where it wants no words."""

    id: str
    family: str
    text: str
    marker: str | None


def injected_passages() -> list[Injected]:
    return [Injected(**json.loads(line)) for line in FILE.read_text(encoding="utf-8").splitlines()]
