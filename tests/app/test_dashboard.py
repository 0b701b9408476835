"""The dashboard's page, run by Streamlit's own tester on a finished study; and the command's refusals."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox
from support.reports import SMALL, make_report

from fourfold.app.dashboard import page, results, serve
from fourfold.app.dashboard.charts import arms_chart, differences_chart
from fourfold.app.dashboard.items import Filters, choose, outcome_of
from fourfold.errors import InputError, StoreError
from fourfold.evals.report.data import Report

if TYPE_CHECKING:
    from app.conftest import Finished


def drawn(runs: Path) -> AppTest:
    def script(runs: str) -> None:
        from pathlib import Path

        from fourfold.app.dashboard.page import show

        show(Path(runs))

    # Each test reads its own folder: a report kept from another one is not wanted.
    page._report.clear()
    shown = AppTest.from_function(script, kwargs={"runs": str(runs)}, default_timeout=60).run()
    assert not shown.exception
    return shown


def box(shown: AppTest, label: str) -> Selectbox[str]:
    return next(found for found in shown.selectbox if found.label == label)


def texts(shown: AppTest) -> list[str]:
    return [element.value for element in shown.text]


def report_of(finished: Finished) -> Report:
    assert finished.done.report is not None
    return finished.done.report


def test_a_finished_run_is_read_back_as_the_report_that_the_run_gave(finished: Finished) -> None:
    (run,) = results.newest_runs(finished.runs)
    read, given = results.read_run(finished.runs, run.run), report_of(finished)
    assert run.study == given.study == "tiny"
    for field in ("base", "sentence", "caveats", "verdict", "arms", "differences", "questions", "settings"):
        assert getattr(read, field) == getattr(given, field), field


def test_reading_changes_nothing_and_needs_no_model(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs", ignore=shutil.ignore_patterns("blobs", "cache"))
    before = (runs / "store.db").read_bytes()
    code = (
        "import sys; from pathlib import Path; from fourfold.app.dashboard import results as r\n"
        f"folder = Path({str(runs)!r})\n"
        "r.read_run(folder, r.newest_runs(folder)[0].run)\n"
        "print(sorted({'torch', 'transformers', 'qdrant_client', 'llama_index'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
    assert (runs / "store.db").read_bytes() == before


def test_the_newest_run_of_each_study_is_listed_newest_first(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    with closing(sqlite3.connect(runs / "store.db")) as db:
        for study in ("other", "tiny"):
            db.execute(
                "INSERT INTO runs (study, settings, results, finished_at) "
                "SELECT ?, settings, results, finished_at FROM runs WHERE run = 1",
                (study,),
            )
        db.commit()
    assert [(run.run, run.study) for run in results.newest_runs(runs)] == [(3, "tiny"), (2, "other")]


def test_the_page_shows_verdict_caveats_and_arms(finished: Finished) -> None:
    report, shown = report_of(finished), drawn(finished.runs)
    markdown = [element.value for element in shown.markdown]
    assert f"{markdown[0].removeprefix('#### ')} {markdown[1]}" == page.plain(report.sentence)
    assert all(any(page.plain(caveat) in text for text in markdown) for caveat in report.caveats)
    arms, differences = (table.value for table in shown.table)
    assert list(arms["arm"]) == [arm.arm for arm in report.arms]
    assert len(differences) == sum(d.metric == report.primary for d in report.differences)
    assert len(shown.get("vega_lite_chart")) == 2


def test_choosing_a_question_shows_its_answers_and_sources(finished: Finished) -> None:
    report, shown = report_of(finished), drawn(finished.runs)
    chosen = report.questions[-1]
    box(shown, "Question").select(f"{chosen.question_id} · {chosen.question}").run()
    assert not shown.exception
    said = texts(shown)
    for text in (chosen.question, chosen.reference, chosen.quote, *(c.text for c in chosen.contexts)):
        assert text in said
    assert all(answer.text in said for answer in chosen.answers)
    assert [f"{chosen.document}, page {chosen.page}" in caption.value for caption in shown.caption].count(True) == 1
    labels = [expander.label for expander in shown.expander]
    assert all(f"page {c.page_first}" in label for c, label in zip(chosen.contexts, labels, strict=True))


def test_filters_narrow_the_questions_down_to_none(finished: Finished) -> None:
    report, shown = report_of(finished), drawn(finished.runs)
    document = report.questions[0].document
    box(shown, "Document").select(document).run()
    n = sum(question.document == document for question in report.questions)
    assert f"{n} of {len(report.questions)} questions" in [caption.value for caption in shown.caption]
    box(shown, "Its answer").select("failed").run()
    assert [info.value for info in shown.info] == ["No question fits these filters."]


def test_a_quote_is_shown_on_its_page_on_request(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    shown = drawn(runs)
    assert not shown.get("image")
    shown.toggle[0].set_value(True).run()
    assert not shown.exception
    assert len(shown.get("image")) == 1
    with closing(sqlite3.connect(runs / "store.db")) as db:
        db.execute('UPDATE runs SET settings = replace(settings, \'"folder": "\', \'"folder": "/gone\')')
        db.commit()
    shown.run()
    assert not shown.get("image")
    assert any("not there any more" in info.value for info in shown.info)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "**bold** $x$ :red[y] [z](http://a.example)"])
def test_markup_in_an_answer_is_shown_as_text(finished: Finished, tmp_path: Path, text: str) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    with closing(sqlite3.connect(runs / "store.db")) as db:
        db.execute("UPDATE answers SET text = ?", (text,))
        db.execute("UPDATE questions SET question = ?", (text,))
        db.commit()
    shown = drawn(runs)
    # st.text takes no markup; no element that does holds the text.
    assert texts(shown).count(text) >= 4
    others = [*shown.markdown, *shown.caption, *shown.expander, *shown.subheader]
    assert not any(text in getattr(element, "value", getattr(element, "label", "")) for element in others)


def test_plain_text_has_no_markup_left() -> None:
    escaped = page.plain(r"*a* _b_ `c` [d](e) <f> #g $h$ :red[i] \j")
    assert re.findall(r"(?<!\\)[*_`\[\]<>#$:]", escaped) == []
    assert escaped.endswith(r"\\j")


def test_a_folder_without_results_says_so_on_the_page(tmp_path: Path) -> None:
    shown = drawn(tmp_path)
    assert [error.value for error in shown.error] == ["There are no results to show."]
    assert "fourfold run STUDY" in texts(shown)[0]
    assert list(tmp_path.iterdir()) == []


def test_a_store_of_another_version_says_so(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    with closing(sqlite3.connect(runs / "store.db")) as db:
        db.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
        db.commit()
    with pytest.raises(StoreError, match="version 0"):
        results.newest_runs(runs)


def test_a_file_that_is_no_store_says_so(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("no database at all, but long enough to be looked at " * 20)
    with pytest.raises(StoreError, match="cannot be read"):
        results.newest_runs(tmp_path)


def test_serving_an_empty_folder_or_on_a_taken_port_is_refused(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no results to show"):
        serve.serve(tmp_path, port=1, address="127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port}.*in use"):
            serve.serve(finished.runs, port=port, address="127.0.0.1")


def test_serving_without_streamlit_names_the_extra(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"fourfold\[dashboard\]"):
        serve.serve(finished.runs, port=1, address="127.0.0.1")


def test_right_needs_the_full_score_and_a_missing_answer_is_failed() -> None:
    report = make_report(SMALL)
    outcomes = {
        arm: [outcome_of([a for a in q.answers if a.arm == arm], report.primary) for q in report.questions]
        for arm in ("base", "rag")
    }
    assert outcomes["base"] == ["right", "not right", "failed", "not right", "right"]
    assert outcomes["rag"] == ["right", "right", "right", "not right", "not right"]
    assert outcome_of([], report.primary) == "failed"


def test_filters_count_together() -> None:
    report = make_report(SMALL, n_unseen=1)

    def ids(filters: Filters) -> list[str]:
        return [q.question_id for q in choose(report.questions, filters, report.primary)]

    assert ids(Filters()) == ["q0", "q1", "q2", "q3", "q4"]
    assert ids(Filters(arm="base")) == ids(Filters())
    assert ids(Filters(arm="base", outcome="right")) == ["q0", "q4"]
    assert ids(Filters(arm="base", outcome="right", document="new.pdf")) == ["q4"]
    assert ids(Filters(arm="tuned", outcome="not right", stratum="document tuned")) == ["q1", "q2"]


def test_charts_hold_every_arm_and_difference_with_its_interval() -> None:
    report = make_report(SMALL)
    rows = arms_chart(report.arms, "token_f1")["data"]["values"]
    assert [(row["name"], row["value"], row["low"], row["high"]) for row in rows] == [
        (arm.arm, arm.metrics["token_f1"].value, arm.metrics["token_f1"].low, arm.metrics["token_f1"].high)
        for arm in report.arms
    ]
    shown = [d for d in report.differences if d.metric == "token_f1"]
    spec = differences_chart(shown, "token_f1", margin=0.05)
    assert [row["name"] for row in spec["data"]["values"]] == [f"{d.a} − {d.b}" for d in shown]
    assert [line["at"] for line in spec["layer"][0]["data"]["values"]] == [0, 0.05, -0.05]
