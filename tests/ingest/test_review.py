from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import pytest
from support.manual import manual

from fourfold.errors import QuestionError
from fourfold.ingest.cloze import ClozeGenerator
from fourfold.ingest.review import Reviewed, has_verdicts, read_sheet, write_sheet
from fourfold.types import Question

DOCUMENTS, BLOCKS = manual(
    {
        "Valves": [f"Rule {'abcdef'[n]} asks crew {'stuvwx'[n]} to check {n + 20} valves." for n in range(6)],
    }
)
MADE = ClozeGenerator(seed=0, split="test").generate(DOCUMENTS, BLOCKS, n_wanted=4).questions


def sheet(folder: Path, *changes: dict[str, str], questions: tuple[Question, ...] = MADE) -> Path:
    """The sheet with some cells of its first rows filled in."""
    rows = list(csv.DictReader(io.StringIO(write_sheet(questions))))
    for row, change in zip(rows, changes, strict=False):
        row.update(change)
    path = folder / "review.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path) -> Reviewed:
    return read_sheet(path, DOCUMENTS, BLOCKS)


def test_without_a_sheet_nothing_is_reviewed() -> None:
    assert read_sheet(None, DOCUMENTS, BLOCKS) == Reviewed()


def test_a_sheet_without_verdicts_gives_the_questions_as_they_were(tmp_path: Path) -> None:
    path = sheet(tmp_path)
    assert not has_verdicts(path)
    assert not has_verdicts(tmp_path / "none.csv")
    found = read(path)
    assert found.dropped == ()
    assert found.questions == tuple(dataclasses.replace(q, evidence=None, n_passages=None) for q in MADE)


def test_accepted_and_fixed_questions_are_a_persons_and_dropped_ones_stand_aside(tmp_path: Path) -> None:
    path = sheet(
        tmp_path,
        {"verdict": " Accept "},
        {"verdict": "fix", "fixed_question": "How many valves?"},
        {"verdict": "DROP"},
    )
    assert has_verdicts(path)
    accepted, fixed, left = read(path).questions
    assert (accepted.question, accepted.reference_source) == (MADE[0].question, "person")
    assert (fixed.question, fixed.reference, fixed.reference_source) == (
        "How many valves?",
        MADE[1].reference,
        "person",
    )
    assert (left.question_id, left.reference_source) == (MADE[3].question_id, "quote")
    assert [q.question_id for q in read(path).dropped] == [MADE[2].question_id]


def test_a_fixed_reference_takes_the_place_of_the_key_facts(tmp_path: Path) -> None:
    questions = (dataclasses.replace(MADE[0], key_facts=(("20", "twenty"), ("crew; s|t",))), *MADE[1:])
    kept, _, _, _ = read(sheet(tmp_path, {"verdict": "accept"}, questions=questions)).questions
    assert kept.key_facts == (("20", "twenty"), ("crew; s|t",))
    fixed, _, _, _ = read(sheet(tmp_path, {"verdict": "fix", "fixed_reference": "21"}, questions=questions)).questions
    assert (fixed.reference, fixed.key_facts) == ("21", ())


def test_a_persons_questions_are_not_on_the_sheet() -> None:
    person = dataclasses.replace(MADE[0], reference_source="person")
    assert len(list(csv.DictReader(io.StringIO(write_sheet([person, MADE[1]]))))) == 1


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@x", "'quoted'", "'=x", 'with "quotes", and\nlines'])
def test_no_cell_is_a_formula_and_every_text_comes_back(tmp_path: Path, text: str) -> None:
    questions = (dataclasses.replace(MADE[0], question=text), *MADE[1:])
    cells = [cell for row in csv.reader(io.StringIO(write_sheet(questions))) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert read(sheet(tmp_path, questions=questions)).questions[0].question == text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdict": "maybe"}, "row 1: verdict: "),
        ({"verdict": "fix"}, "row 1: Value error, verdict fix needs fixed_question"),
        ({"verdict": "accept", "fixed_reference": "x"}, "no other verdict has one"),
        ({"page": "0"}, "row 1: page: "),
        ({"key_facts": "[["}, "row 1: key_facts"),
        ({"id": MADE[1].question_id}, "stands twice"),
        ({"quote": "nowhere to be found"}, "quote not on page 1"),
        ({"document": "other.pdf"}, "no document 'other.pdf'"),
    ],
)
def test_what_is_wrong_with_a_sheet_is_told(tmp_path: Path, change: dict[str, str], said: str) -> None:
    with pytest.raises(QuestionError) as error:
        read(sheet(tmp_path, change))
    assert said in str(error.value)


def test_a_sheet_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="cannot be read"):
        read(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(QuestionError, match="row 1: "):
        read(tmp_path / "other.csv")
