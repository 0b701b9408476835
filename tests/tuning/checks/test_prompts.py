from __future__ import annotations

import pytest

from fourfold.errors import FairnessError
from fourfold.tuning.checks.prompts import require_equal_prompts
from fourfold.tuning.rows import Form, TuningRow


def row(name: str, form: Form, *ids: int) -> TuningRow:
    return TuningRow(question_id=name, form=form, prompt_ids=ids, answer_ids=(0,))


ROWS = [row("a", "without contexts", 1, 2), row("a", "with contexts", 1, 3, 2), row("b", "without contexts", 1, 4)]


def test_equal_prompts_are_counted_and_those_nobody_answered_left_out() -> None:
    asked: dict[tuple[Form, str], str] = {("without contexts", "a"): "(1, 2)", ("with contexts", "a"): "(1, 3, 2)"}
    found = require_equal_prompts(ROWS, asked, str)
    assert (found.n_without_contexts, found.n_with_contexts) == (1, 1)


def test_another_prompt_in_tuning_than_when_answering_breaks_the_rule() -> None:
    asked: dict[tuple[Form, str], str] = {("without contexts", "a"): "(1, 2)", ("with contexts", "a"): "(1, 2, 3)"}
    with pytest.raises(FairnessError, match="a with contexts"):
        require_equal_prompts(ROWS, asked, str)
