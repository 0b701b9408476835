from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

import pytest
from support.questions import make_question

from fourfold.errors import QuestionError
from fourfold.evals.judge.sheet import draw_answers, has_labels, how_to_label, read_labels, row_id, write_labels
from fourfold.study import Criterion
from fourfold.types import Answer, Arm

CRITERIA: tuple[Criterion, ...] = ("correctness", "groundedness")
ARMS: tuple[Arm, ...] = ("base", "rag", "tuned + rag")
QUESTIONS = [make_question(f"q{at}", split="test") for at in range(6)]
PASSAGES = {question.question_id: "=the passage" for question in QUESTIONS}


def make_answer(arm: Arm, question_id: str, text: str | None) -> Answer:
    return Answer(
        arm=arm, tuning_seed=None, question_id=question_id, text=text, failure=None if text is not None else "too long",
        n_prompt_tokens=1, n_answer_tokens=1, mean_logprob=None, finish_reason="stop", chunk_ids=(), example_ids=(),
        generation=None,
    )  # fmt: skip


ANSWERS = [
    make_answer(arm, q.question_id, None if (arm, q.question_id) == ("rag", "q5") else f"{q.question_id} runs [1]")
    for q in QUESTIONS
    for arm in ARMS
]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def filled(tmp_path: Path, *changes: tuple[int, str, str], extra: str = "") -> Path:
    """The sheet of all answers, correctness 'full' throughout but for the changes (row, column, text)."""
    rows = rows_of(write_labels(draw_answers(ANSWERS, n_questions=9, seed=0), QUESTIONS, PASSAGES, CRITERIA))
    for row in rows:
        row["correctness"] = "full"
    for number, column, text in changes:
        rows[number][column] = text
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path = tmp_path / "labels.csv"
    path.write_text("\ufeff" + out.getvalue() + extra, encoding="utf-8")
    return path


def test_every_arm_answers_every_question_drawn_and_failed_questions_are_not_drawn() -> None:
    drawn = draw_answers(ANSWERS, n_questions=3, seed=1)
    assert Counter(answer.arm for answer in drawn) == dict.fromkeys(ARMS, 3)
    assert Counter(Counter(answer.question_id for answer in drawn).values()) == {3: 3}
    everything = draw_answers(ANSWERS, n_questions=99, seed=1)
    assert {answer.question_id for answer in everything} == {"q0", "q1", "q2", "q3", "q4"}
    assert draw_answers([], n_questions=3, seed=0) == []


def test_the_draw_hangs_on_the_seed_alone() -> None:
    assert draw_answers(ANSWERS, n_questions=3, seed=1) == draw_answers(ANSWERS[::-1], n_questions=3, seed=1)
    assert draw_answers(ANSWERS, n_questions=3, seed=1) != draw_answers(ANSWERS, n_questions=3, seed=2)


def test_the_sheet_tells_nothing_of_the_arm() -> None:
    drawn = draw_answers(ANSWERS, n_questions=9, seed=0)
    text = write_labels(drawn, QUESTIONS, PASSAGES, CRITERIA)
    assert not any(arm in text for arm in ("rag", "tuned", "base"))
    rows = rows_of(text)
    assert {row["answer"] for row in rows} == {f"q{at} runs" for at in range(5)}
    assert len({row["row"] for row in rows}) == len(rows) == 15
    assert [row["row"] for row in rows] != sorted(row["row"] for row in rows)
    # To a spreadsheet a cell that begins with "=" is a formula.
    assert {row["passage"] for row in rows} == {"'=the passage"}


def test_labels_come_back_by_digit_or_word_and_empty_cells_are_none(tmp_path: Path) -> None:
    path = filled(tmp_path, (0, "correctness", "3"), (1, "correctness", " Refusal "), (2, "correctness", ""),
                  (3, "groundedness", "5"))  # fmt: skip
    found = read_labels(path, ANSWERS, CRITERIA)
    drawn = draw_answers(ANSWERS, n_questions=9, seed=0)
    values = [found.values["correctness"].get(row_id(answer)) for answer in drawn]
    assert values[:4] == [0.5, 0.0, None, 1.0]
    assert len(found.values["correctness"]) == 14
    assert found.values["groundedness"] == {row_id(drawn[3]): 1.0}
    assert found.notes == ()


def test_a_row_that_stands_there_twice_counts_once_and_is_noted(tmp_path: Path) -> None:
    again = filled(tmp_path).read_text(encoding="utf-8").splitlines()[1]
    found = read_labels(filled(tmp_path, extra=again + "\n"), ANSWERS, CRITERIA)
    assert len(found.values["correctness"]) == 15
    assert found.notes == ("1 row(s) stand there twice and count once",)


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    first = filled(tmp_path).read_text(encoding="utf-8").splitlines()[1]
    against = first.replace(",full,", ",wrong,")
    assert against != first
    path = filled(tmp_path, (1, "row", "no-such-row"), (2, "correctness", "good"), extra=against + "\n")
    with pytest.raises(QuestionError) as caught:
        read_labels(path, ANSWERS, CRITERIA)
    seen = str(caught.value.seen)
    assert "no answer of this study has the id 'no-such-row'" in seen
    assert "correctness = 'good' is none of" in seen
    assert "has another correctness than in a line before" in seen


@pytest.mark.parametrize("text", [None, "", "a,b\n1,2\n", "row,question\nx,y\n", "\xff"])
def test_a_file_that_is_no_sheet_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "labels.csv"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(QuestionError, match="labels cannot be used"):
        read_labels(path, ANSWERS, CRITERIA)


def test_a_sheet_with_labels_is_known(tmp_path: Path) -> None:
    assert not has_labels(tmp_path / "none.csv", CRITERIA)
    empty = tmp_path / "empty.csv"
    empty.write_text(write_labels(ANSWERS[:2], QUESTIONS, PASSAGES, CRITERIA), encoding="utf-8")
    assert not has_labels(empty, CRITERIA)
    assert has_labels(filled(tmp_path), CRITERIA)


def test_the_levels_are_told_in_words() -> None:
    assert how_to_label(("correctness",)) == "correctness: 4 full; 3 partial; 2 wrong; 1 refusal"
