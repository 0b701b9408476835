"""The report as Markdown and its items as CSV: the figures of the report, and nothing that breaks the form."""

from __future__ import annotations

import csv
import io

import pyarrow.parquet
from support.reports import SMALL, make_report

from fourfold.evals.report.items_table import render_csv, render_parquet
from fourfold.evals.report.markdown import render_markdown
from fourfold.evals.report.sentence import format_estimate


def test_markdown_shows_the_verdict_every_arm_and_every_difference_on_the_primary_metric() -> None:
    report = make_report(SMALL)
    page = render_markdown(report)
    assert report.sentence in page
    for arm in report.arms:
        assert f"| {arm.arm} | {format_estimate(arm.metrics['token_f1'])} | " in page
    shown = [d for d in report.differences if d.metric == report.primary]
    assert len(shown) == 6
    for d in shown:
        assert f"| {d.a} − {d.b} | {format_estimate(d.paired.difference, signed=True)} |" in page


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head() -> None:
    report = make_report(SMALL, say={"failure": "a | b\nc"})
    tables: list[list[str]] = [[]]
    for line in render_markdown(report).splitlines():
        if line.startswith("|"):
            tables[-1].append(line.replace("\\|", ""))
        elif tables[-1]:
            tables.append([])
    assert len([table for table in tables if table]) == 4
    for table in tables:
        assert len({line.count("|") for line in table}) <= 1


def test_the_csv_has_one_row_per_answer_and_keeps_any_text() -> None:
    report = make_report(SMALL, say={"answer": 'it "runs",\nand; turns'})
    rows = list(csv.DictReader(io.StringIO(render_csv(report))))
    assert len(rows) == len(SMALL) * 5
    failed = [row for row in rows if row["failure"]]
    assert [(row["arm"], row["question_id"], row["answer"], row["key_fact_recall"]) for row in failed] == [
        ("base", "q2", "", "")
    ]
    first = next(row for row in rows if (row["arm"], row["question_id"]) == ("rag", "q0"))
    assert first["answer"] == 'it "runs",\nand; turns'
    assert (first["key_fact_recall"], first["token_f1"], first["recall@3"]) == ("1", "0.5", "1.0")
    assert (first["generation"], first["tuning_seed"]) == ("g0", "")


def test_parquet_holds_the_rows_of_the_csv_with_numbers_as_numbers() -> None:
    report = make_report(SMALL)
    table = pyarrow.parquet.read_table(io.BytesIO(render_parquet(report))).to_pylist()
    rows = list(csv.DictReader(io.StringIO(render_csv(report))))
    assert len(table) == len(rows) == len(SMALL) * 5
    for typed, text in zip(table, rows, strict=True):
        assert {name: "" if value is None else str(value) for name, value in typed.items()} | {
            "key_fact_recall": text["key_fact_recall"]
        } == text
        assert typed["key_fact_recall"] == (float(text["key_fact_recall"]) if text["key_fact_recall"] else None)
