from __future__ import annotations

import pytest

from fourfold.tuning.checks.memorisation import completed_share, prefixes_of, reword
from fourfold.tuning.rows import Form, TuningRow


@pytest.mark.parametrize(
    ("question", "other"),
    [
        ("How often does it run?", "Please say, going by the documents: at what intervals does it run?"),
        ("Which valve is it ?", "Please say, going by the documents: what valve is it?"),
        ("WHAT is it?", "Please say, going by the documents: which is it?"),
        ("Whatever happens?", "Please say, going by the documents: Whatever happens?"),
        ("Does it run?", "Please say, going by the documents: Does it run?"),
    ],
)
def test_a_question_is_put_in_other_words(question: str, other: str) -> None:
    assert reword(question) == other


def row(name: str, form: Form, *answer: int) -> TuningRow:
    return TuningRow(question_id=name, form=form, prompt_ids=(1, 2), answer_ids=(*answer, 0))


def test_the_first_half_of_closed_book_answers_is_given_and_short_ones_are_left_out() -> None:
    rows = [
        row("a", "without contexts", 5, 6, 7, 8, 9), row("b", "with contexts", 5, 6, 7, 8),
        row("c", "without contexts", 5, 6, 7),
    ]  # fmt: skip
    (only,) = prefixes_of(rows)
    assert (only.question_id, only.token_ids, only.rest) == ("a", (1, 2, 5, 6), (7, 8, 9))


@pytest.mark.parametrize(
    ("written", "share"), [((7, 8, 9, 0), 1.0), ((7, 8), 2 / 3), ((7, 1, 9), 1 / 3), ((8, 9), 0.0), ((), 0.0)]
)
def test_completion_counts_from_the_beginning_up_to_the_first_other_token(
    written: tuple[int, ...], share: float
) -> None:
    assert completed_share(written, (7, 8, 9)) == share
