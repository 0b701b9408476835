"""Unanswerable questions beside others: they move precision and recall of refusals, and no other figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.questions import make_question
from support.reports import Table, make_questions, make_rows

from fourfold.evals.report.behaviour import ArmBehaviour
from fourfold.evals.report.build import Rows, build_report
from fourfold.evals.report.comparison import StudySide, compare_studies
from fourfold.evals.report.data import Report
from fourfold.evals.report.html import render_html
from fourfold.evals.report.items_table import render_csv
from fourfold.evals.report.question_caveats import question_caveats
from fourfold.study import AnswerSettings, CorpusSettings, ScoreSettings, StudySettings
from fourfold.types import Question

ANSWERABLE = [dataclasses.replace(question, answerable=True) for question in make_questions(4)]
UNANSWERABLE = [
    make_question(
        f"u{at}", split="test", answerable=False, start=5, end=5, doc_id="d1", section=("Pumps", f"Part {at}")
    )
    for at in range(2)
]
# The last two columns are the unanswerable ones: what stands there must never be read.
TABLE: Table = {"base": [1, 0, 1, 1, 1, 1], "rag": [1, 1, 0, 1, 1, 1]}
STUDY = StudySettings(
    name="small",
    corpus=CorpusSettings(folder=Path("pdfs")),
    answer=AnswerSettings(arms=tuple(TABLE)),
    score=ScoreSettings(metrics=("token_f1", "key_fact_recall")),
)


def rows(questions: list[Question]) -> Rows:
    """Base refuses q1 and u0, rag refuses nothing; no score of an unanswerable question but its refusal."""
    table: Table = {arm: values[: len(questions)] for arm, values in TABLE.items()}
    made = make_rows(table, questions, {})
    refused = {("base", "q1"), ("base", "u0")}
    return dataclasses.replace(
        made,
        answers=[
            dataclasses.replace(a, text="I don't know.") if (a.arm, a.question_id) in refused else a
            for a in made.answers
        ],
        scores=[
            dataclasses.replace(s, value=None, reason="no answer there")
            if s.question_id.startswith("u") and s.metric != "refusal"
            else s
            for s in made.scores
        ],
    )


def report_of(questions: list[Question]) -> Report:
    return build_report(STUDY, rows(questions), base="tiny", frozen_rule_kept=True)


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of([*ANSWERABLE, *UNANSWERABLE])


@pytest.fixture(scope="module")
def without() -> Report:
    return report_of(ANSWERABLE)


def behaviour(report: Report, arm: str) -> ArmBehaviour:
    return next(own for own in report.behaviour if own.arm == arm)


def test_every_figure_but_those_of_refusals_is_that_of_the_answerable_questions(
    report: Report, without: Report
) -> None:
    assert (report.n_questions, report.n_transfer) == (4, 0)
    for name in ("sentence", "arms", "differences", "verdict", "factorial", "costs", "strata", "retrieval", "pareto"):
        assert getattr(report, name) == getattr(without, name), name
    for field in ("confidence", "words", "distinct_2", "discovery", "citations"):
        assert getattr(behaviour(report, "rag"), field) == getattr(behaviour(without, "rag"), field)


def test_precision_and_recall_of_refusals_by_hand(report: Report, without: Report) -> None:
    base, rag = (behaviour(report, arm).abstention for arm in ("base", "rag"))
    # Base declined q1 (wrongly) and u0 (rightly), and answered u1.
    assert (base.precision.value, base.recall.value, base.recall.n) == (0.5, 0.5, 2)
    assert (rag.precision.value, rag.recall.value) == (None, 0.0)
    assert behaviour(without, "base").abstention.recall.reason == "no question is unanswerable"


def test_their_answers_stand_in_classes_of_their_own(report: Report) -> None:
    found = {count.kind: (count.n, count.examples) for count in behaviour(report, "base").failures if count.n}
    assert found["rightly declined"] == (1, ("u0",))
    assert found["answered the unanswerable"] == (1, ("u1",))
    assert sum(n for n, _ in found.values()) == 6


def test_they_are_shown_with_their_answers_and_without_scores(report: Report) -> None:
    assert 'class="id">u0' in render_html(report)
    line = next(line for line in render_csv(report).splitlines() if line.startswith("u0,"))
    assert "I don't know." in line
    assert any("2 further questions" in caveat for caveat in report.caveats)


def test_two_studies_are_compared_without_them() -> None:
    questions = [*ANSWERABLE, *UNANSWERABLE]
    one = StudySide(label="a", study=STUDY, model={}, questions=questions, scores=rows(questions).scores)
    found = compare_studies(one, dataclasses.replace(one, label="b"))
    assert (found.n_questions, found.n_left_out) == (4, 0)
    assert any(caveat.startswith("2 unanswerable questions are left out") for caveat in found.caveats)
    assert {row.a.n for row in found.rows} == {4}


def test_cloze_questions_are_said_to_favour_retrieval() -> None:
    cloze = [dataclasses.replace(question, kind="cloze number") for question in ANSWERABLE[:3]]
    (caveat,) = question_caveats([*cloze, ANSWERABLE[3]], [])
    assert caveat.startswith("3 of 4 test questions are cloze")
    assert question_caveats(ANSWERABLE, []) == ()
