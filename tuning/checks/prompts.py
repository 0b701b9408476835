"""Tuning prompt bytes = inference prompt bytes (fairness rule 4), held against what was really asked.

Every stored answer names its generation, whose key is a digest over the prompt's tokens. The training set's own code
writes the test questions' prompts anew from the stored contexts; a prompt that differs in a byte has another key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fourfold.errors import FairnessError
from fourfold.tuning.rows import Form, TuningRow

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCheck:
    """How many prompts were compared in each form; those that were not answered have nothing to compare."""

    n_without_contexts: int
    n_with_contexts: int


def require_equal_prompts(
    rows: Sequence[TuningRow],
    asked: Mapping[tuple[Form, str], str],
    key_of: Callable[[tuple[int, ...]], str],
) -> PromptCheck:
    """Compare each row's prompt with the one its arm was asked.

    Args:
        rows: of the test questions, as tuning writes them.
        asked: by form and question id, the key of the generation that answered.
        key_of: the key that a generation with these prompt tokens has.

    Raises:
        FairnessError: a prompt is another one in tuning than when answering.
    """
    there = [row for row in rows if (row.form, row.question_id) in asked]
    if other := [row for row in there if key_of(row.prompt_ids) != asked[row.form, row.question_id]]:
        rest = len(other) - _SHOWN
        raise FairnessError(
            "tuning prompts are not those that the arms are asked",
            seen=", ".join(f"{row.question_id} {row.form}" for row in other[:_SHOWN])
            + (f" and {rest} more" if rest > 0 else ""),
            expected="each tuning prompt byte-equal to its arm's (fairness rule 4)",
            hint="report this; until it is mended the tuned arms stand in no fair comparison",
        )
    return PromptCheck(
        n_without_contexts=sum(row.form == "without contexts" for row in there),
        n_with_contexts=sum(row.form == "with contexts" for row in there),
    )
