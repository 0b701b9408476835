"""What a model wants to read before a question and before a passage, told by its files."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fourfold.embed.port import Kind
from fourfold.llm.weights import Weights
from fourfold.study import IndexSettings

# In this order, as in sentence-transformers' `encode_document`. Its own choice is not used: it adds an empty
# "document" to every model, which hides a "passage" that the files do name (6.2).
_PASSAGE_NAMES = ("document", "passage", "corpus")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Words put before a text; empty where there are none."""

    query: str = ""
    passage: str = ""

    def of(self, kind: Kind) -> str:
        """The prompt of that kind of text."""
        return self.query if kind == "query" else self.passage


def read_prompts(weights: Weights) -> Prompts:
    """The prompts named query, and document, passage or corpus, of config_sentence_transformers.json."""
    try:
        held = json.loads((weights.folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Prompts()
    named = held.get("prompts") if isinstance(held, dict) else None
    found = {name: text for name, text in named.items() if isinstance(text, str)} if isinstance(named, dict) else {}
    passages = (found[name] for name in _PASSAGE_NAMES if found.get(name))
    return Prompts(query=found.get("query", ""), passage=next(passages, ""))


def choose_prompts(settings: IndexSettings, weights: Weights | None) -> Prompts:
    """What the study says, else what the model's files name; behind an endpoint there are no files."""
    named = read_prompts(weights) if weights is not None else Prompts()
    return Prompts(
        query=named.query if settings.query_prompt is None else settings.query_prompt,
        passage=named.passage if settings.passage_prompt is None else settings.passage_prompt,
    )
