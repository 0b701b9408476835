"""Every answer as one row, as CSV and as Parquet: what a spreadsheet or a notebook wants to look at."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from fourfold.evals.report.data import AnswerShown, QuestionShown, Report

Cell = str | int | float | None


def render_csv(report: Report) -> str:
    """One row per question, arm and tuning seed, with every score; an undefined score is empty.

    `generation` and the stages' keys in report.json lead to the rows in store.db.
    """
    rows = _rows(report)
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def render_parquet(report: Report) -> bytes:
    """The same rows as Parquet; an undefined score is null."""
    # Here, not above: it takes a while to load, and a report that is shown again needs it not.
    import pyarrow as pa
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(_rows(report)), sink)
    return sink.getvalue()


def _rows(report: Report) -> list[dict[str, Cell]]:
    metrics = sorted({name for question in report.questions for answer in question.answers for name in answer.scores})
    return [_row(question, answer, metrics) for question in report.questions for answer in question.answers]


def _row(question: QuestionShown, answer: AnswerShown, metrics: Sequence[str]) -> dict[str, Cell]:
    of_question: Mapping[str, Cell] = {
        "question_id": question.question_id,
        "question": question.question,
        "reference": question.reference,
        "document": question.document,
        "page": question.page,
        "section": question.section,
        "stratum": question.stratum,
        "type": question.kind,
    }
    of_answer: Mapping[str, Cell] = {
        "arm": answer.arm,
        "tuning_seed": answer.tuning_seed,
        "answer": answer.text,
        "failure": answer.failure,
        "n_prompt_tokens": answer.n_prompt_tokens,
        "n_answer_tokens": answer.n_answer_tokens,
        "mean_logprob": answer.mean_logprob,
        "generation": answer.generation,
    }
    return {**of_question, **of_answer, **{metric: answer.scores.get(metric) for metric in metrics}}
