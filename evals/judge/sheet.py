"""The blind sheet on which people label this study's answers, written out and read back.

A row says nothing of the arm: its id is a digest, its place is drawn, its answer is blinded as the judge's prompt is.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fourfold.digest import digest_of
from fourfold.errors import QuestionError
from fourfold.evals.judge.blinding import blind
from fourfold.evals.judge.rubric import RUBRICS, Rubric
from fourfold.study import Criterion
from fourfold.types import Answer, Question

_FIXED = ("row", "question", "reference", "passage", "answer")
_NOTE = "note"
_SHOWN = 10
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a sheet holds: per criterion, per row id, the label's value in [0, 1]; what was passed over, in words."""

    values: Mapping[Criterion, Mapping[str, float]]
    notes: tuple[str, ...]


def row_id(answer: Answer) -> str:
    """The id of an answer's row: 12 hex digits that tell nothing of its arm."""
    return digest_of(["label", answer.arm, answer.tuning_seed, answer.question_id, answer.text])[:12]


def draw_answers(answers: Sequence[Answer], *, n_questions: int, seed: int) -> list[Answer]:
    """The answers to label: all arms' to some questions, so that each arm has as many and arms are paired.

    Args:
        answers: one per arm and question; a question that an arm failed on is not drawn.
        n_questions: questions to draw; all where there are fewer.
        seed: of the draw and of the rows' order.
    """
    shuffler = random.Random(seed)  # noqa: S311 (an order, not a secret)
    failed = {answer.question_id for answer in answers if answer.text is None}
    whole = sorted({answer.question_id for answer in answers} - failed)
    drawn = set(shuffler.sample(whole, min(n_questions, len(whole))))
    chosen = sorted((answer for answer in answers if answer.question_id in drawn), key=row_id)
    shuffler.shuffle(chosen)
    return chosen


def write_labels(
    answers: Sequence[Answer], questions: Sequence[Question], passages: Mapping[str, str], criteria: Sequence[Criterion]
) -> str:
    """The sheet as CSV text, a column to fill in for each criterion.

    Args:
        answers: those drawn, in the order of the rows.
        questions: of the study.
        passages: gold passage per question id.
        criteria: what is to be labelled.
    """
    by_id = {question.question_id: question for question in questions}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_FIXED, *criteria, _NOTE])
    for answer in answers:
        question = by_id[answer.question_id]
        shown = (question.question, question.reference, passages[answer.question_id], blind(answer.text or ""))
        # A cell that a spreadsheet would take for a formula gets an apostrophe before it; only ids are read back.
        cells = [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in shown]
        writer.writerow([row_id(answer), *cells, *([""] * len(criteria)), ""])
    return out.getvalue()


def how_to_label(criteria: Sequence[Criterion]) -> str:
    """What may stand in each column, for the person who fills the sheet in."""
    return "\n".join(f"{name}: {'; '.join(_words(RUBRICS[name]).values())}" for name in criteria)


def read_labels(path: Path, answers: Sequence[Answer], criteria: Sequence[Criterion]) -> Labels:
    """Read a filled-in sheet.

    A level may be given as its digit or its word ("full"). A row that stands there twice with the same labels counts
    once, and is noted; rows and cells left empty are not labels.

    Args:
        path: the sheet.
        answers: those that the study has.
        criteria: those of the study's judge; other columns are passed over.

    Raises:
        QuestionError: no such file, no column of a criterion, unknown ids, labels that are no level, or rows that
            contradict one another; all together.
    """
    rows = _read(path)
    columns = [criterion for criterion in criteria if criterion in rows[0]]
    if "row" not in rows[0] or not columns:
        raise _wrong(path, f"columns {', '.join(rows[0])}")
    known = {row_id(answer) for answer in answers}
    values: dict[Criterion, dict[str, float]] = {criterion: {} for criterion in columns}
    problems: list[str] = []
    doubled: set[str] = set()
    seen: set[str] = set()
    for number, cells in enumerate(rows[1:], start=2):
        row = dict(zip(rows[0], cells, strict=False))
        own = row.get("row", "").strip()
        if not any(cell.strip() for cell in cells):
            continue
        if own not in known:
            problems.append(f"line {number}: no answer of this study has the id {own!r}")
            continue
        if own in seen:
            doubled.add(own)
        seen.add(own)
        for criterion in columns:
            _take(values[criterion], RUBRICS[criterion], own, row.get(criterion, ""), (number, problems))
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise _wrong(path, "; ".join(problems[:_SHOWN]) + more)
    return Labels(values=values, notes=(f"{len(doubled)} row(s) stand there twice and count once",) if doubled else ())


def has_labels(path: Path, criteria: Sequence[Criterion]) -> bool:
    """Whether a sheet, if there is one, has a label already: then it is not to be written over.

    Raises:
        QuestionError: there is a file, and it cannot be read.
    """
    if not path.exists():
        return False
    rows = _read(path)
    places = [at for at, name in enumerate(rows[0]) if name in criteria]
    return any(row[at].strip() for row in rows[1:] for at in places if at < len(row))


def _take(values: dict[str, float], rubric: Rubric, own: str, cell: str, told: tuple[int, list[str]]) -> None:
    number, problems = told
    said = cell.strip().lower()
    if not said:
        return
    level = next((level for level in rubric.levels if said in {level.label, _words(rubric)[level.label].lower()}), None)
    level = level or next((level for level in rubric.levels if said == level.name.partition(":")[0].lower()), None)
    if level is None:
        problems.append(f"line {number}: {rubric.criterion} = {cell.strip()!r} is none of {', '.join(rubric.labels)}")
    elif values.setdefault(own, level.value) != level.value:
        problems.append(f"line {number}: {own} has another {rubric.criterion} than in a line before")


def _words(rubric: Rubric) -> dict[str, str]:
    return {level.label: f"{level.label} {level.name.partition(':')[0]}" for level in rubric.levels}


def _read(path: Path) -> list[list[str]]:
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _wrong(path, str(error)) from None
    if not rows:
        raise _wrong(path, "an empty file")
    return [[name.strip() for name in rows[0]], *rows[1:]]


def _wrong(path: Path, seen: str) -> QuestionError:
    return QuestionError(
        "the labels cannot be used",
        seen=f"{path}: {seen}",
        expected="a sheet of 'fourfold judge sample' of this study, with levels in the columns of its criteria",
        hint="correct these lines; contradicting rows: keep the one that holds",
    )
