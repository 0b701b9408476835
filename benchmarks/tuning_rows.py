"""Real training rows for the tuning benchmarks.

The quickstart's questions with pages of its manuals as passages; AgXQA's, several of which ask about one paragraph.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymupdf

from fourfold.llm.torch_engine import TorchEngine
from fourfold.prompts import answer_chat
from fourfold.study import DEFAULT_INSTRUCTIONS
from fourfold.tuning.reference import Shown
from fourfold.tuning.rows import Draft, Form, TuningRow, encode_rows
from fourfold.tuning.spans import find_spans, with_spans

QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question of the quickstart, the passage that answers it, and one that does not."""

    question_id: str
    question: str
    reference: str
    key_facts: tuple[tuple[str, ...], ...]
    gold: str
    other: str


def read_asked(*, n: int, characters: int, seed: int = 0) -> list[Asked]:
    """So many questions drawn by a seed; passages are cut to so many characters around the page's quote."""
    lines = (QUICKSTART / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    drawn = random.Random(seed).sample([json.loads(line) for line in lines if line.strip()], n)
    pages = {name: _pages(name) for name in {row["document"] for row in drawn}}
    chance = random.Random(seed + 1)
    asked = []
    for row in drawn:
        own = pages[row["document"]]
        asked.append(
            Asked(
                question_id=str(row["id"]),
                question=row["question"],
                reference=row["reference"],
                key_facts=tuple(tuple(fact) for fact in row.get("key_facts", ())),
                gold=_around(own[row["page"] - 1], row["quote"], characters),
                other=chance.choice([page for page in own if len(page) > characters])[:characters],
            )
        )
    return asked


def with_contexts(engine: TorchEngine, asked: Sequence[Asked], *, closed: bool) -> tuple[TuningRow, ...]:
    """Rows with both passages in an order drawn by the question, and where wanted the same without them."""
    contexts = {one.question_id: _shuffled(one) for one in asked}
    drafts = [draft for one in asked for draft in _drafts(one, contexts[one.question_id], closed=closed)]
    return with_spans(engine, encode_rows(engine, drafts), drafts, contexts)


def agxqa(engine: TorchEngine, *, n_paragraphs: int, closed: bool) -> tuple[TuningRow, ...]:
    """Rows of the questions over the first of AgXQA's 155 paragraphs, each with its paragraph as the only context."""
    folder = os.environ.get("FOURFOLD_TEST_DATA")
    if not folder:
        raise SystemExit("AgXQA's questions need FOURFOLD_TEST_DATA: the folder of real inputs")
    squad = json.loads((Path(folder) / "qa" / "agxqa_partB.json").read_text(encoding="utf-8"))
    paragraphs = [paragraph for article in squad["data"] for paragraph in article["paragraphs"]][:n_paragraphs]
    contexts = {str(one["id"]): (paragraph["context"],) for paragraph in paragraphs for one in paragraph["qas"]}
    drafts = [
        Draft(
            question_id=str(one["id"]),
            form=form,
            chat=answer_chat(DEFAULT_INSTRUCTIONS, one["question"], shown),
            answer=one["answers"][0]["text"],
        )
        for paragraph in paragraphs
        for one in paragraph["qas"]
        for form, shown in _forms(contexts[str(one["id"])], closed=closed)
    ]
    return with_spans(engine, encode_rows(engine, drafts), drafts, contexts)


def alone(engine: TorchEngine, passage: str) -> Shown:
    """A passage by itself in the prompt with contexts."""
    chat = answer_chat(DEFAULT_INSTRUCTIONS, "?", [passage])
    draft = Draft(question_id="", form="with contexts", chat=chat, answer="")
    return Shown(prompt_ids=engine.encode([chat])[0], spans=find_spans(engine, draft, [passage]))


def prompts(engine: TorchEngine, asked: Sequence[Asked]) -> list[Any]:
    """As the arm with retrieval asks."""
    return engine.prepare([answer_chat(DEFAULT_INSTRUCTIONS, one.question, _shuffled(one)) for one in asked])


def _forms(contexts: Sequence[str], *, closed: bool) -> list[tuple[Form, Sequence[str] | None]]:
    shown: list[tuple[Form, Sequence[str] | None]] = [("without contexts", None)] if closed else []
    return [*shown, ("with contexts", contexts)]


def _drafts(one: Asked, contexts: Sequence[str], *, closed: bool) -> list[Draft]:
    return [
        Draft(
            question_id=one.question_id,
            form=form,
            chat=answer_chat(DEFAULT_INSTRUCTIONS, one.question, passages),
            answer=one.reference,
        )
        for form, passages in _forms(contexts, closed=closed)
    ]


def _shuffled(one: Asked) -> tuple[str, str]:
    return (one.gold, one.other) if random.Random(one.question_id).random() < 0.5 else (one.other, one.gold)


def _pages(name: str) -> list[str]:
    with pymupdf.open(QUICKSTART / "corpus" / name) as pdf:
        return [page.get_text() for page in pdf]


def _around(page: str, quote: str, characters: int) -> str:
    at = max(0, page.find(quote[:30]) - characters // 3)
    return page[at : at + characters]
