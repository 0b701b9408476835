"""What a tuning run would train on, before it does: one example of each form with the trained tokens marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourfold.errors import FourfoldError, ModelError, QuestionError
from fourfold.tuning.clean import Dropped
from fourfold.tuning.rows import ChatTokenizer, Form, TuningRow

OPEN, CLOSE = "⟦", "⟧"
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row, decoded; `text` has its trained tokens between ⟦ and ⟧. `n_rows` are the rows of that form."""

    form: Form
    question_id: str
    text: str
    n_prompt_tokens: int
    n_trained_tokens: int
    n_rows: int


def show_examples(engine: ChatTokenizer, rows: Sequence[TuningRow]) -> tuple[Example, ...]:
    """The first row of each form, as the model reads it."""
    by_form: dict[Form, list[TuningRow]] = {}
    for row in rows:
        by_form.setdefault(row.form, []).append(row)
    return tuple(
        Example(
            form=form,
            question_id=own[0].question_id,
            text=engine.tokenizer.decode(own[0].prompt_ids) + OPEN + engine.tokenizer.decode(own[0].answer_ids) + CLOSE,
            n_prompt_tokens=len(own[0].prompt_ids),
            n_trained_tokens=len(own[0].answer_ids),
            n_rows=len(own),
        )
        for form, own in by_form.items()
    )


def find_faults(
    rows: Sequence[TuningRow], dropped: Sequence[Dropped], *, end_id: int, answer_tokens: int
) -> list[FourfoldError]:
    """Everything that would make the tuned model worse without a word, each with its mending.

    Args:
        rows: what is trained on.
        dropped: what is left out.
        end_id: the token that ends an answer.
        answer_tokens: what an arm may write, answer.max_tokens.
    """
    faults: list[FourfoldError] = []
    if empty := [row.question_id for row in dropped if row.reason == "no answer"]:
        faults.append(
            QuestionError(
                "rows without a trained token",
                seen=_some(empty),
                expected="a reference for every tuning question",
                hint="write these references, or take the questions out",
            )
        )
    if cut := [f"{row.question_id} ({len(row.answer_ids)} tokens)" for row in over_limit(rows, answer_tokens)]:
        faults.append(
            QuestionError(
                "answers that would be cut off when they are given",
                seen=_some(cut),
                expected=f"at most answer.max_tokens = {answer_tokens}, end token included",
                hint="raise answer.max_tokens for every arm, or shorten these references",
            )
        )
    if endless := [row.question_id for row in rows if row.answer_ids[-1] != end_id]:
        faults.append(
            ModelError(
                "answers without the end token",
                seen=_some(endless),
                expected=f"token {end_id} after every answer: without it the tuned model does not stop",
                hint="encode answers with fourfold.tuning.rows",
            )
        )
    return faults


def over_limit(rows: Sequence[TuningRow], answer_tokens: int) -> list[TuningRow]:
    """Rows whose answer an arm could not write to its end; general instructions are no arm's."""
    return [row for row in rows if row.form != "general" and len(row.answer_ids) > answer_tokens]


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
