"""Questions for tests."""

from __future__ import annotations

from typing import Any

from fourfold.types import Question


def make_question(question_id: str, **fields: Any) -> Question:
    """A tuning question; any field can be set."""
    defaults: dict[str, Any] = {
        "question_id": question_id,
        "split": "tuning",
        "question": f"What does the pump of {question_id} do?",
        "reference": "it runs",
        "key_facts": (),
        "doc_id": "d1",
        "document": "pump.pdf",
        "page": 1,
        "start": 0,
        "end": 10,
        "quote": "the quote",
        "section": ("Pumps",),
        "reference_source": "model",
    }
    return Question(**{**defaults, **fields})
