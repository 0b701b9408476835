"""The format control: as many trained tokens as the study's own rows, on documents that are not the study's."""

from __future__ import annotations

import json
from pathlib import Path

import pymupdf
import pytest
from support.scripted import run_scripted, sentence, write_inputs

from fourfold.app.stages.control import fill
from fourfold.errors import FairnessError
from fourfold.store import Store
from fourfold.tuning.rows import TuningRow
from fourfold.types import Answer


def row(name: str, n_tokens: int) -> TuningRow:
    return TuningRow(question_id=name, form="without contexts", prompt_ids=tuple(range(n_tokens - 1)), answer_ids=(1,))


@pytest.mark.parametrize(
    ("n_tokens", "names"),
    [
        (10, "a"), (14, "a"), (21, "ab"), (30, "ab"), (33, "abc"), (36, "abc"), (60, "abcab"), (1, "a")
    ],
)  # fmt: skip
def test_rows_are_taken_in_order_and_again_until_the_tokens_come_closest(n_tokens: int, names: str) -> None:
    rows = [row("a", 10), row("b", 20), row("c", 5)]
    assert "".join(taken.question_id for taken in fill(rows, n_tokens)) == names


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = write_inputs(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with pymupdf.open() as pdf:
        for number in range(4):
            page = pdf.new_page()
            for rule in range(1, 7):
                text = sentence("west.pdf", ("kiln", "oven", "crane", "press")[number], rule)
                page.insert_textbox((72, 60 + 60 * rule, 540, 110 + 60 * rule), text)
        pdf.save(other / "west.pdf")
    return path


def test_a_study_with_seeds_control_and_forms_answers_with_every_adapter(study: Path, tmp_path: Path) -> None:
    overrides = ["tuning.control=other", "tuning.seeds=[0, 1, 2]", "tuning.single_forms=true"]
    done = run_scripted(study, tmp_path / "runs", overrides=overrides)
    assert done.report is not None
    with Store.open(tmp_path / "runs") as store:
        keys = dict(store.connection.execute("SELECT stage, key FROM results").fetchall())
        answers = store.read(Answer, keys["answer"])
        summary = dict(store.connection.execute("SELECT stage, summary FROM results").fetchall())
    tuned = {stage: json.loads(text) for stage, text in summary.items() if stage.startswith("tune")}
    assert len({trained["content"]["adapter"] for trained in tuned.values()}) == len(tuned) == 6
    seeds = {arm: {a.tuning_seed for a in answers if a.arm == arm} for arm in {a.arm for a in answers}}
    assert seeds["tuned"] == seeds["tuned + rag"] == {0, 1, 2}
    assert seeds["control"] == seeds["contexts form + rag"] == {0}
    assert seeds["base n-shot"] == {None}
    assert all((len(a.example_ids) == 3) == a.arm.endswith("n-shot") for a in answers)
    # As many trained tokens as the study's own rows, to within half of its longest row.
    assert abs(tuned["tune-control"]["n_tokens"] - tuned["tune"]["n_tokens"]) < 300
    report = done.report
    assert {arm.arm: arm.n_seeds for arm in report.arms if arm.arm in {"base", "tuned", "control"}} == {
        "base": 1, "tuned": 3, "control": 1
    }  # fmt: skip
    assert ("tuned", "control") in {(shown.a, shown.b) for shown in report.explained}
    assert "seed" not in report.sentence
    assert "no format control" not in report.sentence


def test_a_control_with_a_document_of_the_study_is_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(FairnessError, match=r"in both: north\.pdf, south\.pdf"):
        run_scripted(study, tmp_path / "runs", overrides=["tuning.control=pdfs"])
