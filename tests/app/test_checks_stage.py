"""The checks in a whole study on the tiny model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.pdfs import Text, pdf_bytes
from support.scripted import ScriptedContext, run_scripted, sentence

from fourfold.app.pipeline import run_stages
from fourfold.app.progress import Reporter
from fourfold.app.stages import STAGES
from fourfold.app.stages.checks import NO_TEXT, check_rows
from fourfold.app.stages.report import read_rows, report_of
from fourfold.errors import DocumentError, FairnessError, StudyError
from fourfold.evals.report.data import Report
from fourfold.evals.report.html import render_html
from fourfold.llm.port import Message
from fourfold.store import Store
from fourfold.study_file import load_study
from fourfold.tuning import rows as tuning_rows
from fourfold.types import Score

if TYPE_CHECKING:
    from app.conftest import Finished

ON = ("checks.enabled=true", "checks.n_prompts=2", "checks.n_questions=4")


def context_of(finished: Finished, runs: Path, *overrides: str) -> ScriptedContext:
    study = load_study(finished.study, [*ON, *overrides])
    return ScriptedContext(study=study, store=Store.open(runs), reporter=Reporter(quiet=True), cache=runs / "cache")


@pytest.fixture(scope="module")
def checked(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Score, ...], Report, Any]:
    folder = tmp_path_factory.mktemp("checks")
    runs = shutil.copytree(finished.runs, folder / "runs")
    text = folder / "other.txt"
    text.write_text("\n\n".join(f"Paragraph {n}. " + "The moon is far away and cold. " * 8 for n in range(3)))
    file = folder / "en_fact.json"
    line = {"id": 1, "query": "Where?", "answer": "Rome", "fakeanswer": "Oslo", "positive_wrong": ["It is in Oslo."]}
    file.write_text(json.dumps(line))
    context = context_of(finished, runs, f"checks.text={text}", f"checks.counterfactual={file}")
    with context.store:
        assert run_stages(context, STAGES) == 2  # checks, and the report that reads them
        result = context.results["checks"]
        report = report_of(context, dataclasses.replace(read_rows(context), checks=check_rows(context)))
        return context.store.read(Score, result.key), report, result.summary


def test_every_check_leaves_a_row_an_item_with_and_without_the_adapter(
    checked: tuple[tuple[Score, ...], Report, Any],
) -> None:
    scores, _, summary = checked
    counts = Counter((score.metric, score.arm) for score in scores)
    for metric, n in (("general knowledge", 147), ("nats a token", 3), ("recall: tuning question", 4),
                      ("recall: reworded", 4), ("completion", 4)):  # fmt: skip
        assert (counts[metric, "base"], counts[metric, "tuned"]) == (n, n), metric
    assert counts["follows: given", "rag"] == counts["recites: given", "tuned + rag"] == 1
    assert counts["follows: edited", "rag"] == counts["follows: edited", "tuned + rag"] > 0
    assert counts["identical tokens: merged", "tuned"] == 2
    assert {score.tuning_seed for score in scores if score.arm in {"tuned", "tuned + rag"}} == {0}
    assert all(score.value is not None or score.reason for score in scores)
    # 12 test questions in both forms.
    assert summary["n_prompts_equal"] == 24
    assert summary["notes"] == []
    assert set(summary["perplexity"]) == {"base", "tuned"}


def test_the_adapter_merged_is_within_its_limits_and_the_report_shows_it(
    checked: tuple[tuple[Score, ...], Report, Any],
) -> None:
    _, report, _ = checked
    section = report.checks
    assert section is not None
    merged = [limit for limit in section.limits if limit.what.startswith("merged")]
    assert [limit.met for limit in merged] == [True, True]
    assert {row.check for row in section.rows} == {"forgetting", "memorisation", "context reliance"}
    page = render_html(report)
    assert "24 test prompts, written again" in page
    assert "general four-option items" in page
    assert section.drift
    assert "likelier tuning has made documents" in page


def test_without_the_setting_there_is_no_such_stage_and_tuning_stays_as_it_was(finished: Finished) -> None:
    assert finished.done.report is not None
    assert "checks" not in {stage.name for stage in finished.done.report.stages}


def test_without_other_text_the_report_says_what_is_missing(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    done = run_scripted(finished.study, runs, overrides=[*ON, "checks.n_questions=1"])
    assert done.report is not None
    (stage,) = (stage for stage in done.report.stages if stage.name == "checks")
    assert (stage.summary["notes"], stage.summary["perplexity"]) == ([NO_TEXT], {})


def test_a_text_that_is_none_is_told(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DocumentError, match=r"bytes\.txt"):
        run_scripted(finished.study, runs, overrides=[*ON, f"checks.text={tmp_path / 'bytes.txt'}"])


def test_a_prompt_that_tuning_writes_otherwise_stops_the_study(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the check of prompt bytes is for: one space more in tuning."""
    written = tuning_rows.answer_chat

    def otherwise(*args: Any, **kwargs: Any) -> Any:
        *first, last = written(*args, **kwargs)
        return (*first, Message(role="user", content=last.content + " "))

    monkeypatch.setattr(tuning_rows, "answer_chat", otherwise)
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    with pytest.raises(FairnessError, match="tuning prompts are not those"):
        run_scripted(finished.study, runs, overrides=[*ON])


def write_v2(finished: Finished, folder: Path) -> Path:
    """north.pdf with the asked rules at other hours, and no south.pdf."""
    shutil.copytree(finished.study.parent / "pdfs", folder)
    (folder / "south.pdf").unlink()
    pages = []
    for number, place in enumerate(("boiler", "reservoir", "turbine", "filter", "sluice", "gauge"), start=1):
        lines = [Text(72, 80, f"{number} The {place}", 18, bold=True)]
        for rule in range(1, 7):
            text = sentence("north.pdf", place, rule).replace("every 4 hours", "every 9 hours").split()
            lines += [Text(72, 90 + 40 * rule, " ".join(text[:11])), Text(72, 102 + 40 * rule, " ".join(text[11:]))]
        pages.append(lines)
    (folder / "north.pdf").write_bytes(pdf_bytes(pages))
    return folder


def test_questions_whose_quote_is_gone_are_asked_of_every_arm_after_the_update(
    finished: Finished, tmp_path: Path
) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    v2 = write_v2(finished, tmp_path / "v2")
    context = context_of(finished, runs, "checks.n_questions=1", f"checks.corpus_v2={v2}", "prices.machine_hour=3.6")
    with context.store:
        run_stages(context, STAGES)
        rows = check_rows(context)
        assert rows is not None
        report = report_of(context, dataclasses.replace(read_rows(context), checks=rows))
    stale = [score for score in rows.scores if score.metric == "stale answer"]
    assert Counter(score.arm for score in stale) == dict.fromkeys(
        ("base", "base n-shot", "rag", "rag n-shot", "tuned", "tuned + rag"), 12
    )
    assert rows.update is not None
    assert (rows.update.changed, rows.update.removed) == (("north.pdf",), ("south.pdf",))
    assert (rows.update.n_stale, rows.update.n_questions) == (12, 12)
    seconds = {one.arm: one.seconds for one in rows.update.refresh}
    assert seconds["base"] == 0 < seconds["rag"]
    assert seconds["tuned + rag"] > max(seconds["rag"], seconds["tuned"])
    assert rows.update.refresh[2].cost == pytest.approx(seconds["rag"] / 1000)
    assert "12 of 12 test questions lost their quote" in render_html(report)


def test_a_second_corpus_that_is_the_first_is_told(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    with pytest.raises(DocumentError, match="the one that was tuned on"):
        run_scripted(finished.study, runs, overrides=[*ON, f"checks.corpus_v2={finished.study.parent / 'pdfs'}"])


def test_a_file_that_is_not_there_is_told(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    with pytest.raises(StudyError, match=r"checks\.counterfactual"):
        run_scripted(finished.study, runs, overrides=[*ON, f"checks.counterfactual={tmp_path / 'none.json'}"])
