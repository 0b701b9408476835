"""Questions in the forms that other tools read: chat JSONL (OpenAI's fine-tuning form), SQuAD 2.0, and a data card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fourfold.ingest.filter_log import FilterCount
from fourfold.ingest.question_metrics import QuestionMetrics
from fourfold.prompts import answer_chat
from fourfold.types import Block, Document, Question

_SOURCES = {"person": "written or reviewed by a person", "model": "written by the model", "quote": "words of the quote"}


def chat_lines(questions: Iterable[Question], instructions: str) -> str:
    """One JSON object a line with `messages`: the prompt of the arm without contexts, then the reference.

    Args:
        questions: of one split.
        instructions: the study's answer instructions, the system message.
    """
    lines = []
    for question in questions:
        turns = [{"role": m.role, "content": m.content} for m in answer_chat(instructions, question.question, None)]
        turns.append({"role": "assistant", "content": question.reference})
        lines.append(json.dumps({"messages": turns}, ensure_ascii=False) + "\n")
    return "".join(lines)


def squad_json(questions: Sequence[Question], blocks: Iterable[Block]) -> str:
    """SQuAD 2.0: an article per document, a paragraph per block (or run of blocks) that holds a quote.

    An answer there is a span of its paragraph. Where the reference does not stand in the quote letter for letter, the
    quote is the answer. A question that the documents do not answer has none, `is_impossible`, and its quote as
    paragraph.

    Args:
        questions: of one split.
        blocks: of the corpus.
    """
    by_document: dict[str, list[Block]] = {}
    for block in blocks:
        by_document.setdefault(block.doc_id, []).append(block)
    articles: dict[str, dict[str, list[dict[str, object]]]] = {}
    for question in questions:
        context, start = _paragraph(question, by_document.get(question.doc_id, []))
        items = articles.setdefault(question.document, {}).setdefault(context, [])
        items.append({
            "id": question.question_id,
            "question": question.question,
            "answers": [] if question.answerable is False else [_answer(question, context, start)],
            "is_impossible": question.answerable is False,
        })  # fmt: skip
    data = [
        {"title": name, "paragraphs": [{"context": context, "qas": items} for context, items in paragraphs.items()]}
        for name, paragraphs in articles.items()
    ]
    return json.dumps({"version": "v2.0", "data": data}, ensure_ascii=False, indent=1) + "\n"


def _paragraph(question: Question, blocks: Sequence[Block]) -> tuple[str, int]:
    """The text around the quote, and where in it the quote begins."""
    touched = [block for block in blocks if block.start < question.end and question.start < block.end]
    if not touched:
        return question.quote, 0
    return "\n\n".join(block.text for block in touched), question.start - touched[0].start


def _answer(question: Question, context: str, start: int) -> dict[str, object]:
    at = context.find(question.reference, start)
    if at < 0 or at + len(question.reference) > start + question.end - question.start:
        return {"text": context[start : start + question.end - question.start], "answer_start": start}
    return {"text": question.reference, "answer_start": at}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a question set comes from, for its card.

    Args:
        study: its name.
        generator: "llm" or "cloze".
        model: what wrote them, in words.
        made_by: versions and commit, by name.
        licence: of the documents' text, as the exporter states it; None: not stated.
    """

    study: str
    generator: str
    model: str
    made_by: Mapping[str, str]
    licence: str | None


def data_card(
    questions: Sequence[Question],
    documents: Sequence[Document],
    origin: Origin,
    *,
    filters: Sequence[FilterCount],
    metrics: Mapping[str, QuestionMetrics],
) -> str:
    """What is in the export, where it comes from and what was taken out, in Markdown.

    Args:
        questions: of all splits.
        documents: of the corpus.
        origin: see there.
        filters: what each filter saw and dropped.
        metrics: per split.
    """
    read = [document for document in documents if document.status == "read"]
    stated = origin.licence or "not stated. The questions quote the documents: their licence decides"
    lines = [
        f"# Questions of the study {origin.study}",
        "",
        f"- Licence: {stated}.",
        f"- Generator of tuning and validation questions: {origin.generator} ({origin.model}).",
        f"- Made by: {', '.join(f'{name} {version}' for name, version in origin.made_by.items())}.",
        "- SQuAD answers are spans: a reference that does not stand in its quote letter for letter is the quote there.",
        "- Test questions are there to measure with. A model tuned on them can no longer be measured by them.",
        "",
        "## Counts",
        "",
        "| split | kind | origin of the reference | questions |",
        "|---|---|---|---|",
    ]
    counts = Counter((q.split, q.kind or "not given", _SOURCES[q.reference_source]) for q in questions)
    lines += [f"| {' | '.join(map(_cell, key))} | {n} |" for key, n in sorted(counts.items())]
    lines += ["", "## Filters", "", "| filter | saw | dropped | example |", "|---|---|---|---|"]
    lines += [
        f"| {_cell(f.name)} | {f.n_seen} | {f.n_dropped} | {_cell(f.examples[0]) if f.examples else ''} |"
        for f in filters
    ]
    lines += ["", "## Measures", "", "| split | measure | value |", "|---|---|---|"]
    lines += [
        f"| {split} | {name.replace('_', ' ')} | {_number(getattr(own, name))} |"
        for split, own in metrics.items()
        for name in QuestionMetrics.__slots__
    ]
    lines += ["", "## Documents", "", "| document | pages | id |", "|---|---|---|"]
    lines += [f"| {_cell(document.name)} | {document.n_pages} | {document.doc_id} |" for document in read]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _number(value: float | None) -> str:
    return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"
