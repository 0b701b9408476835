from __future__ import annotations

import pytest

from fourfold.errors import QuestionError
from fourfold.tuning.clean import Dropped, clean_rows, count_reasons
from fourfold.tuning.rows import TuningRow


def row(name: str, prompt: tuple[int, ...], answer: tuple[int, ...]) -> TuningRow:
    return TuningRow(question_id=name, form="with contexts", prompt_ids=prompt, answer_ids=answer)


def test_repeats_empty_answers_and_long_rows_are_left_out_and_listed() -> None:
    rows = [row("a", (1, 2), (3, 9)), row("b", (1, 2), (3, 9)), row("c", (1, 2), (4, 9)), row("d", (1,), (9,)),
            row("e", (1,) * 8, (3, 4, 9)), row("f", (1,) * 7, (3, 4, 9))]  # fmt: skip
    kept, dropped = clean_rows(rows, max_tokens=10)
    assert [one.question_id for one in kept] == ["a", "c", "f"]
    assert [(one.question_id, one.reason, one.n_tokens) for one in dropped] == [
        ("b", "repeat", 4), ("d", "no answer", 2), ("e", "too long", 11)
    ]  # fmt: skip
    assert count_reasons(dropped) == {"repeat": 1, "no answer": 1, "too long": 1}


def test_one_row_is_enough() -> None:
    kept, dropped = clean_rows([row("a", (1,), (2, 9))], max_tokens=3)
    assert (len(kept), dropped) == (1, ())


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row("a", (1, 2, 3), (4, 9)), row("b", (1,) * 9, (4, 9))], "2 × too long"),
        ([row("a", (1,), (9,))], "1 × no answer"),
        ([], "0 rows"),
    ],
)
def test_nothing_left_is_an_error_that_says_why(rows: list[TuningRow], told: str) -> None:
    with pytest.raises(QuestionError, match=told):
        clean_rows(rows, max_tokens=4)


def test_a_dropped_row_names_its_form() -> None:
    _, dropped = clean_rows([row("a", (1,), (2, 9))] * 2, max_tokens=9)
    assert dropped == (Dropped(question_id="a", form="with contexts", reason="repeat", n_tokens=3),)
