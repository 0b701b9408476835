"""Where a study's questions come from: cloze, the model, a holdout, a reviewed sheet; on a scripted student."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from support.scripted import ScriptedContext, sentence, write_inputs

from fourfold.app.check import check_study
from fourfold.app.pipeline import run_stages
from fourfold.app.progress import Reporter
from fourfold.app.review import write_export, write_review
from fourfold.app.stages import STAGES
from fourfold.errors import FourfoldError, QuestionError, StoreError
from fourfold.store import Result, Store
from fourfold.study_file import load_study
from fourfold.types import Question

QUIET = Reporter(quiet=True)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


class Asked:
    """The questions of one study, and what the stage said of them."""

    def __init__(self, study: Path, runs: Path, *overrides: str) -> None:
        settings = load_study(study, overrides)
        with Store.open(runs) as store:
            self.context = ScriptedContext(study=settings, store=store, reporter=QUIET, cache=runs / "cache")
            upto = [stage.name for stage in STAGES].index("questions")
            self.n_run = run_stages(self.context, STAGES[: upto + 1])
            self.result: Result = self.context.results["questions"]
            self.test, self.tuning, self.validation = (
                self.context.questions(split) for split in ("test", "tuning", "validation")
            )

    @property
    def summary(self) -> Any:
        return self.result.summary


CLOZE = (
    "questions.file=null", "questions.n_test=10", "questions.generator=cloze",
    # The corpus is one sentence with other numbers, of which every pair is alike to an embedder.
    "questions.cosine_limit=0.999",
)  # fmt: skip


def spans(questions: Sequence[Question]) -> set[tuple[str, int]]:
    return {(question.doc_id, question.start) for question in questions}


def test_with_a_file_the_test_questions_are_a_persons(inputs: Path, tmp_path: Path) -> None:
    asked = Asked(inputs, tmp_path)
    assert {question.reference_source for question in asked.test} == {"person"}
    assert asked.summary["n_test_not_reviewed"] == 0
    names = [count["name"] for count in asked.summary["filters"]["tuning"]]
    assert names[0] == "question: not one question"
    assert "nearly repeats another question" in names
    assert asked.summary["measures"]["tuning"]["n"] == 12


@pytest.mark.parametrize("generator", ["llm", "cloze"])
def test_without_a_file_they_are_made_by_cloze_and_said_to_be(inputs: Path, tmp_path: Path, generator: str) -> None:
    asked = Asked(inputs, tmp_path, *CLOZE, f"questions.generator={generator}")
    assert (len(asked.test), len(asked.tuning), len(asked.validation)) == (10, 12, 2)
    assert all(q.reference_source != "person" and q.kind.startswith("cloze") for q in asked.test)
    assert asked.summary["n_test_not_reviewed"] == 10
    assert {question.kind.partition(" ")[0] for question in asked.tuning} == {
        "generated" if generator == "llm" else "cloze"
    }


def test_cloze_tunes_on_other_sentences_than_it_tests(inputs: Path, tmp_path: Path) -> None:
    asked = Asked(inputs, tmp_path, *CLOZE)
    assert not spans(asked.test) & spans([*asked.tuning, *asked.validation])
    assert not [question for question in asked.test if question.stratum == "fact asked"]


def test_a_model_may_ask_in_its_own_words_for_a_fact_that_cloze_tests(inputs: Path, tmp_path: Path) -> None:
    asked = Asked(inputs, tmp_path, *CLOZE, "questions.generator=llm", "questions.n_test=30")
    shared = spans(asked.test) & spans(asked.tuning)
    assert shared
    assert {(q.doc_id, q.start) for q in asked.test if q.stratum == "fact asked"} == shared


def test_no_model_and_no_tuning_setting_has_a_say_in_the_test_questions(inputs: Path, tmp_path: Path) -> None:
    one = Asked(inputs, tmp_path, *CLOZE)
    other = Asked(inputs, tmp_path, *CLOZE, "questions.generator=llm", "questions.n_tuning=8")
    assert [question.question_id for question in one.test] == [question.question_id for question in other.test]
    assert one.tuning != other.tuning


def test_the_evidence_on_leakage_is_a_file_with_every_tuning_question(inputs: Path, tmp_path: Path) -> None:
    asked = Asked(inputs, tmp_path, *CLOZE)
    (file,) = (tmp_path / "blobs").glob(f"questions-{asked.result.key[:16]}/leakage.csv")
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    taken_out = [row for row in rows if row["taken_out"] == "yes"]
    assert (len(rows), len(taken_out)) == (asked.summary["n_generated"], asked.summary["n_leaked"])
    assert {question.question for question in asked.tuning} <= {row["tuning_question"] for row in rows}
    assert {row["test_question_id"] for row in rows} <= {question.question_id for question in asked.test}


def test_a_held_out_document_is_unseen_and_all_others_are_covered(inputs: Path, tmp_path: Path) -> None:
    asked = Asked(inputs, tmp_path, "questions.holdout={documents: [north.pdf]}")
    assert {question.document for question in [*asked.tuning, *asked.validation]} == {"south.pdf"}
    strata = {(question.document, question.stratum == "document unseen") for question in asked.test}
    assert strata == {("north.pdf", True), ("south.pdf", False)}


def test_documents_are_held_out_by_their_own_date(inputs: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "pdfs"
    corpus.mkdir()
    for name, day in (("north.pdf", "D:20190501"), ("south.pdf", "D:20240501120000Z")):
        with pymupdf.open(inputs.parent / "pdfs" / name) as pdf:
            pdf.set_metadata({"modDate": day})
            pdf.save(corpus / name)
    asked = Asked(inputs, tmp_path / "runs", f"corpus.folder={corpus}", "questions.holdout={since: 2024-05-01}")
    assert {question.document for question in [*asked.tuning, *asked.validation]} == {"north.pdf"}
    assert {question.document for question in asked.test if question.stratum == "document unseen"} == {"south.pdf"}


def test_a_held_out_section_is_not_tuned_and_its_document_is(inputs: Path, tmp_path: Path) -> None:
    asked = Asked(inputs, tmp_path, "questions.holdout={sections: boiler}")
    assert not any("boiler" in " ".join(question.section) for question in [*asked.tuning, *asked.validation])
    assert {question.document for question in asked.tuning} == {"north.pdf", "south.pdf"}
    assert {q.stratum for q in asked.test if "boiler" in " ".join(q.section)} == {"document tuned"}


def test_tags_reach_every_question_of_their_sections(inputs: Path, tmp_path: Path) -> None:
    asked = Asked(inputs, tmp_path, "questions.tags={part: [boiler, sluice]}")
    for question in [*asked.test, *asked.tuning]:
        expected = tuple(f"part: {word}" for word in ("boiler", "sluice") if word in question.section[-1])
        assert question.tags == expected
    assert any(question.tags for question in asked.test)


def test_a_studys_own_prompts_are_used_and_belong_to_the_key(inputs: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "question.txt").write_text("You write a question about one sentence. Sentence: {sentence}")
    (prompts / "answer.txt").write_text(
        "Say it with the words of the sentence. Sentence: {sentence}\nQuestion: {question}"
    )
    asked = Asked(inputs, tmp_path / "runs", f"questions.prompts={prompts}")
    assert len(asked.tuning) == 12
    (prompts / "answer.txt").write_text("{question}")
    with pytest.raises(QuestionError, match=r"answer\.txt: \{sentence\} is missing"):
        Asked(inputs, tmp_path / "runs", f"questions.prompts={prompts}")


def fill_in(sheet: Path, **verdicts: dict[str, str]) -> None:
    """Give rows of the sheet, by id, their verdicts."""
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.update(verdicts.get(row["id"], {}))
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def reviewed_sheet(inputs: Path, folder: Path) -> tuple[Asked, Path]:
    first = Asked(inputs, folder / "runs", *CLOZE)
    settings = load_study(inputs, CLOZE)
    sheet, n_rows = write_review(settings, folder / "runs", cache=folder, reporter=QUIET, out=folder / "sheet.csv")
    assert n_rows == len(first.test) + len(first.tuning) + len(first.validation)
    return first, sheet


def test_a_reviewed_sheet_is_kept_whatever_would_be_generated_now(inputs: Path, tmp_path: Path) -> None:
    first, sheet = reviewed_sheet(inputs, tmp_path)
    accepted, fixed, dropped, *_ = (question.question_id for question in first.test)
    tuned, gone, *_ = (question.question_id for question in first.tuning)
    fill_in(
        sheet,
        **{accepted: {"verdict": "accept"}, fixed: {"verdict": "fix", "fixed_question": "What is fixed here?"}},
        **{dropped: {"verdict": "drop"}, tuned: {"verdict": "accept"}, gone: {"verdict": "drop"}},
    )
    again = Asked(
        inputs, tmp_path / "runs", *CLOZE, f"questions.reviewed={sheet}", "questions.seed=7", "questions.n_test=99"
    )
    assert len(again.test) == 9
    by_id = {question.question_id: question for question in again.test}
    assert dropped not in by_id
    assert (by_id[fixed].question, by_id[fixed].reference_source) == ("What is fixed here?", "person")
    assert by_id[accepted].reference_source == "person"
    assert again.summary["n_test_not_reviewed"] == 7
    kept = {question.question_id for question in first.tuning} - {gone}
    assert kept <= {question.question_id for question in again.tuning}
    assert len(again.tuning) == 12
    out = [question for question in [*first.test, *first.tuning] if question.question_id in {dropped, gone}]
    assert not spans(out) & spans([*again.test, *again.tuning, *again.validation])
    validated = {question.question_id for question in first.validation}
    assert validated <= {question.question_id for question in again.validation}


def test_a_sheet_with_verdicts_is_not_written_over(inputs: Path, tmp_path: Path) -> None:
    first, sheet = reviewed_sheet(inputs, tmp_path)
    settings = load_study(inputs, CLOZE)
    write_review(settings, tmp_path / "runs", cache=tmp_path, reporter=QUIET, out=sheet)
    fill_in(sheet, **{first.test[0].question_id: {"verdict": "drop"}})
    before = sheet.read_bytes()
    with pytest.raises(QuestionError, match="would be written over"):
        write_review(settings, tmp_path / "runs", cache=tmp_path, reporter=QUIET, out=sheet)
    assert sheet.read_bytes() == before


def test_a_missing_sheet_is_told_even_where_the_questions_are_stored(inputs: Path, tmp_path: Path) -> None:
    Asked(inputs, tmp_path, *CLOZE)
    with pytest.raises(QuestionError, match="cannot be read"):
        Asked(inputs, tmp_path, *CLOZE, f"questions.reviewed={tmp_path / 'none.csv'}")


def test_an_id_in_the_file_and_on_the_sheet_is_told(inputs: Path, tmp_path: Path) -> None:
    first, sheet = reviewed_sheet(inputs, tmp_path)
    row = {
        "id": first.test[0].question_id, "question": "Q?", "reference": "every 4 hours", "document": "north.pdf",
        "page": 1, "quote": sentence("north.pdf", "boiler", 2),
    }  # fmt: skip
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(QuestionError, match=first.test[0].question_id):
        Asked(inputs, tmp_path / "runs", f"questions.file={file}", f"questions.reviewed={sheet}")


def test_an_export_has_every_split_in_both_forms_and_a_card(inputs: Path, tmp_path: Path) -> None:
    asked = Asked(inputs, tmp_path / "runs", *CLOZE)
    folder = write_export(
        load_study(inputs, CLOZE), tmp_path / "runs", cache=tmp_path, reporter=QUIET, out=None, licence="CC0-1.0"
    )
    assert folder == tmp_path / "runs" / "tiny" / "export"
    for split in ("test", "tuning", "validation"):
        lines = (folder / f"{split}.chat.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(getattr(asked, split))
        data = json.loads((folder / f"{split}.squad.json").read_text(encoding="utf-8"))["data"]
        assert sum(len(p["qas"]) for a in data for p in a["paragraphs"]) == len(lines)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "- Licence: CC0-1.0." in card
    assert "cloze (no model)" in card
    assert "| tuning: no number, date or named term |" in card


def test_review_and_export_ask_for_the_stage_first_and_for_something_to_review(inputs: Path, tmp_path: Path) -> None:
    settings = load_study(inputs)
    with pytest.raises(StoreError, match="not carried out with these settings: ingest, questions"):
        write_review(settings, tmp_path / "runs", cache=tmp_path, reporter=QUIET, out=None)
    with pytest.raises(FourfoldError, match="not carried out"):
        write_export(settings, tmp_path / "runs", cache=tmp_path, reporter=QUIET, out=None, licence=None)


def test_cloze_questions_do_not_depend_on_the_model(inputs: Path, tmp_path: Path) -> None:
    one = Asked(inputs, tmp_path, *CLOZE)
    again = Asked(inputs, tmp_path, *CLOZE, "model.dtype=bfloat16")
    assert again.n_run == 0
    assert dataclasses.asdict(one.test[0]) == dataclasses.asdict(again.test[0])


def test_without_a_file_check_says_that_test_questions_will_be_made_and_are_not_reviewed(tmp_path: Path) -> None:
    study = load_study(write_inputs(tmp_path), ["questions.file=null", "questions.n_test=7"])
    found = {finding.what: finding for finding in check_study(study, tmp_path / "runs", cache=tmp_path / "cache")}
    assert found["test questions"].problem is None
    assert str(found["test questions"].found).startswith("7 to be made by cloze from the documents, not reviewed")
