"""Rows that are not trained on: repeats, and those too long. Dropped whole, never cut, and listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fourfold.errors import QuestionError
from fourfold.tuning.rows import Form, TuningRow

Reason = Literal["repeat", "no answer", "too long"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A row that is left out, and why."""

    question_id: str
    form: Form
    reason: Reason
    n_tokens: int


def clean_rows(rows: Sequence[TuningRow], *, max_tokens: int) -> tuple[tuple[TuningRow, ...], tuple[Dropped, ...]]:
    """The rows that are trained on, in their order, and the others.

    Args:
        rows: as encoded.
        max_tokens: what the model reads: prompt, answer and end token.

    Raises:
        QuestionError: nothing is left.
    """
    kept: list[TuningRow] = []
    dropped: list[Dropped] = []
    seen: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
    for row in rows:
        content = (row.prompt_ids, row.answer_ids)
        reason = "repeat" if content in seen else _unfit(row, max_tokens)
        if reason is None:
            kept.append(row)
            seen.add(content)
        else:
            dropped.append(Dropped(question_id=row.question_id, form=row.form, reason=reason, n_tokens=row.n_tokens))
    if not kept:
        raise QuestionError(
            "no training row can be used",
            seen=", ".join(f"{n} × {reason}" for reason, n in sorted(count_reasons(dropped).items())) or "0 rows",
            expected=f"rows with an answer, of at most {max_tokens} tokens, which is what the model reads",
            hint="lower retrieval.k or index.chunk_tokens, shorten the references, or name a model that reads more",
        )
    return tuple(kept), tuple(dropped)


def count_reasons(dropped: Sequence[Dropped]) -> dict[str, int]:
    """How many rows were left out for each reason."""
    return dict(Counter(row.reason for row in dropped))


def _unfit(row: TuningRow, max_tokens: int) -> Reason | None:
    if len(row.answer_ids) == 1:
        return "no answer"  # the end token alone
    return "too long" if row.n_tokens > max_tokens else None
