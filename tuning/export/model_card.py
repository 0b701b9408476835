"""The model card of an exported adapter: data, settings, scores, licence and base, as far as they are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Licences:
    """In words, as SPDX identifiers where they have one; None where nobody stated them."""

    base: str | None
    documents: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the card says.

    Args:
        study: its name.
        base: the base's name.
        record: what the adapter's training.json holds.
        documents: names of the documents whose questions were tuned on.
        n_questions: tuning questions.
        licences: of base and documents; the adapter is derived from both.
        forms: what was exported, by file or folder and in words.
        verdict: the study's sentence; None where it was not carried out to its report.
        scores: figure, then arm and value in words.
        limits: what was measured of the merged weights and the reload, in words.
        made_by: fourfold's version and commit.
    """

    study: str
    base: str
    record: Mapping[str, Mapping[str, Any]]
    documents: Sequence[str]
    n_questions: int
    licences: Licences
    forms: Mapping[str, str]
    verdict: str | None
    scores: Mapping[str, Mapping[str, str]]
    limits: Sequence[str]
    made_by: Mapping[str, str]


def model_card(card: Card) -> str:
    """The card as Markdown, with the head that Hugging Face's hub reads."""
    licence = card.licences.base or "other"
    head = {
        "base_model": card.base,
        "library_name": "peft",
        "license": licence.lower() if card.licences.base else licence,
        "tags": ["fourfold", "lora" if "rank" in card.record["tuning"] else "fine-tuned"],
    }
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---",
        f"# {card.study}: an adapter of {card.base}",
        *_files(card),
        *_licences(card.licences),
        *_data(card),
        "## Base and settings",
        *(f"{name.capitalize()}:\n\n{_list(card.record[name])}" for name in ("base", "tuning")),
        *_scores(card),
        "## Made by",
        _list(card.made_by),
    ]
    return "\n\n".join(parts) + "\n"


def _files(card: Card) -> list[str]:
    return ["## Files", _list(card.forms)]


def _licences(licences: Licences) -> list[str]:
    text = (
        f"Base: {licences.base or NOT_STATED}. Documents: {licences.documents or NOT_STATED}. The adapter is derived "
        "from both, and answers may repeat the documents' text: pass it on under terms that both allow."
    )
    return ["## Licence", text]


def _data(card: Card) -> list[str]:
    result = card.record["result"]
    told = (
        f"{card.n_questions} tuning questions over {len(card.documents)} document(s), {result['n_rows']} rows, "
        f"{result['n_tokens']:,} tokens in {result['n_steps']} steps; loss {result['loss_first']:.3f} to "
        f"{result['loss_last']:.3f} nats an answer token."
    )
    return ["## Data", told, "\n".join(f"- {name}" for name in card.documents)]


def _scores(card: Card) -> list[str]:
    if card.verdict is None:
        return ["## Scores", "Not scored: the study was not carried out to its report when this card was written."]
    arms = list(dict.fromkeys(arm for values in card.scores.values() for arm in values))
    rows = [["figure", *arms], ["---"] * (len(arms) + 1)]
    rows += [[name, *(values.get(arm, "–") for arm in arms)] for name, values in card.scores.items()]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    checked = [f"As used, and in other forms:\n\n{chr(10).join(f'- {line}' for line in card.limits)}"]
    return ["## Scores", card.verdict, table, *(checked if card.limits else [])]


def _list(values: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in values.items())
