"""Guidelines: what a correct answer to each question must contain, written once and before any answer.

Source: Balaguer et al. 2024, arXiv 2401.08406, guideline accuracy. Where we differ: the guideline is written from gold
passage and reference alone, is stored, and a person may put another in its place.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fourfold.errors import QuestionError
from fourfold.evals.judge.port import Judge
from fourfold.evals.judge.prompts import guideline_chat
from fourfold.llm.port import Refusal
from fourfold.types import Guideline, Question

_COLUMNS = ("question_id", "guideline")
_SHOWN = 10


def write_guidelines(judge: Judge, questions: Sequence[Question], passages: Mapping[str, str]) -> list[Guideline]:
    """One guideline per question by the judge; a question it does not write one for has the reason.

    Args:
        judge: who writes.
        questions: with their references.
        passages: gold passage per question id.
    """
    chats = [
        guideline_chat(question=q.question, reference=q.reference, passage=passages[q.question_id]) for q in questions
    ]
    found = []
    for question, reply in zip(questions, judge.write(chats), strict=True):
        text = None if isinstance(reply, Refusal) else reply.text.strip() or None
        failure = reply.reason if isinstance(reply, Refusal) else "the judge wrote nothing"
        found.append(
            Guideline(question_id=question.question_id, text=text, source="judge", failure=None if text else failure)
        )
    return found


def render_guidelines(guidelines: Iterable[Guideline]) -> str:
    """The CSV that a person reviews and `read_guidelines` takes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((guideline.question_id, guideline.text or "") for guideline in guidelines)
    return out.getvalue()


def read_guidelines(path: Path, questions: Sequence[Question]) -> list[Guideline]:
    """A person's guidelines, one for each question.

    Raises:
        QuestionError: no such file, other columns, or not exactly one guideline with text for each question.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _wrong(path, str(error)) from None
    if not rows or tuple(cell.strip() for cell in rows[0]) != _COLUMNS:
        raise _wrong(path, f"columns {', '.join(rows[0]) if rows else 'none'}")
    wanted = {question.question_id for question in questions}
    texts: dict[str, str] = {}
    problems = []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(_COLUMNS) or not row[1].strip():
            problems.append(f"line {number}: needs a question id and a guideline")
        elif row[0] not in wanted:
            problems.append(f"line {number}: no test question {row[0]!r}")
        elif row[0] in texts:
            problems.append(f"line {number}: {row[0]} for the second time")
        else:
            texts[row[0]] = row[1].strip()
    problems += [f"{question_id}: no guideline" for question_id in sorted(wanted - texts.keys())]
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise _wrong(path, "; ".join(problems[:_SHOWN]) + more)
    return [
        Guideline(question_id=q.question_id, text=texts[q.question_id], source="person", failure=None)
        for q in questions
    ]


def _wrong(path: Path, seen: str) -> QuestionError:
    return QuestionError(
        "the guidelines cannot be used",
        seen=f"{path}: {seen}",
        expected=f"CSV in UTF-8 with the columns {', '.join(_COLUMNS)}, one row for each test question",
        hint="take guidelines.csv of the study's results, change its texts, and name it in judge.guidelines",
    )
