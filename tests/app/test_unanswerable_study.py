"""Unanswerable questions from the PDFs to the report, on the tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.pdfs import Text, pdf_bytes
from support.scripted import run_scripted, write_inputs

from fourfold.errors import DocumentError, FairnessError
from fourfold.store import Store
from fourfold.types import Question

LINES = [
    "Every ferry that leaves Lerwick for the isle of Foula has to carry 14 barrels.",
    "The harbour of Stromness is open to vessels of up to 90 metres in the summer.",
    "In the north of Unst a lighthouse keeper counts 65 gannets on every working day.",
]


def write_outside(folder: Path) -> Path:
    folder.mkdir()
    (folder / "ports.pdf").write_bytes(pdf_bytes([[Text(72, 90 + 40 * at, line) for at, line in enumerate(LINES)]]))
    return folder


@pytest.fixture(scope="module")
def carried_out(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], tuple[Question, ...]]:
    folder = tmp_path_factory.mktemp("unanswerable")
    study = write_inputs(folder)
    outside = write_outside(folder / "outside")
    run_scripted(study, folder / "runs", overrides=[
        f"questions.outside={outside}", "questions.unanswerable_share=0.2", "answer.arms=[base, rag]",
    ])  # fmt: skip
    report = json.loads((folder / "runs" / "tiny" / "report.json").read_text(encoding="utf-8"))
    with Store.open(folder / "runs") as store:
        questions = store.read(Question, stage_of(report, "questions")["key"])
    return report, questions


def stage_of(report: dict[str, Any], name: str) -> dict[str, Any]:
    (stage,) = (stage for stage in report["stages"] if stage["name"] == name)
    return stage


def test_a_fifth_of_the_test_questions_has_no_answer_in_the_corpus(
    carried_out: tuple[dict[str, Any], tuple[Question, ...]],
) -> None:
    report, questions = carried_out
    found = [question for question in questions if question.answerable is False]
    # 12 stand in the file; 3 of 15 are a fifth.
    assert len(found) == 3
    assert {(q.split, q.document, q.stratum, q.end - q.start) for q in found} == {("test", "ports.pdf", None, 0)}
    assert report["n_questions"] == 12
    summary = stage_of(report, "questions")["summary"]
    assert (summary["n_test"], summary["n_unanswerable"]) == (12, 3)


def test_every_arm_answers_them_and_is_scored_for_declining_alone(
    carried_out: tuple[dict[str, Any], tuple[Question, ...]],
) -> None:
    report, questions = carried_out
    ids = {question.question_id for question in questions if question.answerable is False}
    shown = [question for question in report["questions"] if question["question_id"] in ids]
    assert len(shown) == 3
    for question in shown:
        assert {answer["arm"] for answer in question["answers"]} == {arm["arm"] for arm in report["arms"]}
        for answer in question["answers"]:
            assert {name for name, value in answer["scores"].items() if value is not None} == {"refusal"}
    for own in report["behaviour"]:
        assert own["abstention"]["recall"]["n"] == 3
        assert sum(count["n"] for count in own["failures"]) == 15


def test_a_document_of_the_corpus_outside_it_stops_the_study(tmp_path: Path) -> None:
    study = write_inputs(tmp_path)
    with pytest.raises(FairnessError, match=r"north\.pdf \(= north\.pdf\)"):
        run_scripted(study, tmp_path / "runs", overrides=[f"questions.outside={tmp_path / 'pdfs'}"])


def test_a_folder_outside_without_pdfs_is_told(tmp_path: Path) -> None:
    study = write_inputs(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DocumentError, match="empty"):
        run_scripted(study, tmp_path / "runs", overrides=[f"questions.outside={tmp_path / 'empty'}"])
