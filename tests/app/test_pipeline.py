"""The whole path on a tiny model: what is carried out again, what is kept, and what a kill may not change."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.scripted import run_scripted

from fourfold import rows
from fourfold.app.progress import Reporter
from fourfold.app.stages import STAGES
from fourfold.llm.port import Chat
from fourfold.prompts import answer_chat
from fourfold.retrieval.context.assembly import Assembly
from fourfold.retrieval.context.passage import texts_of
from fourfold.store import Store
from fourfold.types import Answer, Chunk, Document, Question, Retrieved, Score

if TYPE_CHECKING:
    from app.conftest import Finished

ROOT = Path(__file__).parents[2]
# The tiny study has no retrieval modules, no judge and no latency pass.
NAMES = [stage.name for stage in STAGES if stage.name not in {"modules", "rubric", "latency", "judge", "checks"}]


class Told(Reporter):
    """Remembers what was said, and which stages were begun."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.begun: list[str] = []
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)
        if text.endswith(" …"):
            self.begun.append(text.removesuffix(" …"))


def copy_of(finished: Finished, tmp_path: Path) -> Path:
    return shutil.copytree(finished.runs, tmp_path / "runs")


def results_of(runs: Path) -> dict[str, str]:
    with Store.open(runs) as store:
        return dict(store.connection.execute("SELECT key, digest FROM results").fetchall())


def rows_of(runs: Path, record_type: Any, stage: str) -> Any:
    with Store.open(runs) as store:
        (key,) = store.connection.execute("SELECT key FROM results WHERE stage = ?", (stage,)).fetchone()
        return store.read(record_type, key)


def test_every_stage_is_carried_out_once(finished: Finished) -> None:
    assert finished.done.n_stages_run == len(NAMES)
    with Store.open(finished.runs) as store:
        stages = [name for (name,) in store.connection.execute("SELECT stage FROM results")]
    assert sorted(stages) == sorted(NAMES)


def test_a_second_run_does_nothing(finished: Finished) -> None:
    told = Told()
    before = (finished.done.folder / "report.html").stat().st_mtime_ns
    again = run_scripted(finished.study, finished.runs, reporter=told)
    assert (again.n_stages_run, told.begun) == (0, [])
    assert again.report == finished.done.report
    assert (finished.done.folder / "report.html").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("override", "begun"),
    [
        ("score.metrics=[key_fact_recall, token_f1]", ["score", "report"]),
        ("verdict.margin=0.1", ["report"]),
        ("answer.max_tokens=4", ["answer", "score", "report"]),
        ("retrieval.k=1", ["tune", "answer", "score", "report"]),
        ("tuning.checkpoint_steps=3", []),
    ],
)
def test_a_change_carries_out_only_what_depends_on_it(
    finished: Finished, tmp_path: Path, override: str, begun: list[str]
) -> None:
    told = Told()
    run_scripted(finished.study, copy_of(finished, tmp_path), overrides=[override], reporter=told)
    assert told.begun == begun


def test_answers_that_stand_in_the_store_are_told_with_what_they_save(finished: Finished, tmp_path: Path) -> None:
    told = Told()
    runs = copy_of(finished, tmp_path)
    run_scripted(finished.study, runs, overrides=["answer.arms=[base]"], reporter=told)
    # Questions in the same words are one request.
    base = {a.generation: a for a in rows_of(finished.runs, Answer, "answer") if a.arm == "base"}
    n_tokens = sum(answer.n_prompt_tokens + answer.n_answer_tokens for answer in base.values())
    assert f"  arm base: {len(base)} kept from earlier runs, {n_tokens:,} tokens not paid for again" in told.said


def test_settings_that_are_taken_back_have_their_own_report_again(finished: Finished, tmp_path: Path) -> None:
    runs = copy_of(finished, tmp_path)
    given = (runs / "tiny" / "report.json").read_bytes()
    run_scripted(finished.study, runs, overrides=["score.metrics=[key_fact_recall]"])
    assert (runs / "tiny" / "report.json").read_bytes() != given
    done = run_scripted(finished.study, runs)
    assert done.n_stages_run == 0
    assert (runs / "tiny" / "report.json").read_bytes() == given
    with Store.open(runs) as store:
        kept = [json.loads(row) for (row,) in store.connection.execute("SELECT settings FROM runs ORDER BY run")]
    assert [len(one["score"]["metrics"]) for one in kept] == [6, 1, 6]
    # A run that changes nothing is no further run.
    run_scripted(finished.study, runs)
    with Store.open(runs) as store:
        assert store.connection.execute("SELECT count(*) FROM runs").fetchone() == (3,)


def test_a_rule_changed_after_the_first_answer_is_told_in_the_report(finished: Finished, tmp_path: Path) -> None:
    done = run_scripted(finished.study, copy_of(finished, tmp_path), overrides=["verdict.margin=0.1"])
    assert done.report is not None
    assert finished.done.report is not None
    ours = set(done.report.caveats) - set(finished.done.report.caveats)
    assert any("changed" in caveat for caveat in ours), ours


@pytest.mark.parametrize("stage", NAMES)
def test_a_run_killed_in_a_stage_ends_with_the_numbers_of_one_that_was_not(
    finished: Finished, tmp_path: Path, stage: str
) -> None:
    runs = tmp_path / "runs"
    keep_earlier_stages(finished.runs, runs, before=stage)
    code = killed(finished.study, runs, stage)
    assert code == -signal.SIGKILL
    assert len(results_of(runs)) == NAMES.index(stage)
    done = run_scripted(finished.study, runs)
    assert done.n_stages_run == len(NAMES) - NAMES.index(stage)
    assert results_of(runs) == results_of(finished.runs)
    for record_type, owner in ((Question, "questions"), (Answer, "answer"), (Score, "score")):
        assert rows_of(runs, record_type, owner) == rows_of(finished.runs, record_type, owner)
    assert done.report is not None
    assert finished.done.report is not None
    assert done.report.verdict == finished.done.report.verdict
    assert not list((runs / "blobs").glob("*.partial"))


def keep_earlier_stages(source: Path, target: Path, *, before: str) -> None:
    """A working folder in which the stages before one are finished, so that only it is waited for."""
    shutil.copytree(source, target)
    with Store.open(target) as store, store.transaction() as db:
        for name in NAMES[NAMES.index(before) :]:
            (key,) = db.execute("DELETE FROM results WHERE stage = ? RETURNING key", (name,)).fetchone()
            rows.delete(db, key)
            for folder in (target / "blobs").glob(f"{name}-*"):
                shutil.rmtree(folder)
        for table in ("batches", "generations"):
            if before in {"ingest", "questions", "index", "tune", "answer"}:
                db.execute(f"DELETE FROM {table}")


def killed(study: Path, runs: Path, stage: str) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "support.killed", str(study), str(runs), stage],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode


def test_an_adapter_whose_files_are_gone_is_made_again(finished: Finished, tmp_path: Path) -> None:
    runs = copy_of(finished, tmp_path)
    for folder in (runs / "blobs").glob("tune-*"):
        shutil.rmtree(folder)
    told = Told()
    run_scripted(finished.study, runs, reporter=told)
    assert told.begun == ["tune"]
    assert results_of(runs) == results_of(finished.runs)


def test_a_file_that_is_no_pdf_is_recorded_and_the_rest_goes_on(finished: Finished) -> None:
    documents = {document.name: document for document in rows_of(finished.runs, Document, "ingest")}
    assert documents["broken.pdf"].status == "unread"
    assert "not a PDF" in documents["broken.pdf"].reason
    assert [documents[name].status for name in ("north.pdf", "south.pdf")] == ["read", "read"]


def test_tuning_questions_cover_every_document(finished: Finished) -> None:
    questions = [q for q in rows_of(finished.runs, Question, "questions") if q.split == "tuning"]
    assert {question.document for question in questions} == {"north.pdf", "south.pdf"}


def test_validation_questions_are_apart_from_tuning_and_test_ones(finished: Finished) -> None:
    splits: dict[str, set[str]] = {}
    for question in rows_of(finished.runs, Question, "questions"):
        splits.setdefault(question.split, set()).add(question.question)
    assert {split: len(questions) for split, questions in splits.items()} == {"test": 6, "tuning": 12, "validation": 2}
    assert not splits["validation"] & (splits["tuning"] | splits["test"])


def test_what_tuning_saw_is_byte_equal_to_what_answering_would_ask(finished: Finished) -> None:
    from support.scripted import ScriptedEngine

    from fourfold.llm.weights import find_language_model
    from fourfold.study_file import load_study
    from fourfold.tuning.rows import build_rows

    study = load_study(finished.study)
    engine = ScriptedEngine(find_language_model(study.model.id, finished.runs), study.model, device="cpu")
    chunks = rows_of(finished.runs, Chunk, "index")
    questions = [q for q in rows_of(finished.runs, Question, "questions") if q.split == "tuning"]
    assembly = Assembly(chunks={chunk.chunk_id: chunk for chunk in chunks})
    pairs = [(question.question_id, question.question) for question in questions]
    contexts = texts_of(assembly.assemble(rows_of(finished.runs, Retrieved, "tune"), pairs), if_none="")
    built = build_rows(engine, questions, contexts, instructions=study.answer.instructions, form="mixture")

    def asked(question: Question, shown: list[str] | None) -> Chat:
        return answer_chat(study.answer.instructions, question.question, shown)

    assert len(built) == 2 * len(questions)
    for number, question in enumerate(questions):
        closed, opened = engine.encode([asked(question, None), asked(question, contexts[question.question_id])])
        assert (built[2 * number].prompt_ids, built[2 * number + 1].prompt_ids) == (closed, opened)


def test_every_figure_of_the_report_follows_from_rows_in_the_store(finished: Finished) -> None:
    report = json.loads((finished.done.folder / "report.json").read_text(encoding="utf-8"))
    scores = rows_of(finished.runs, Score, "score")
    answers = rows_of(finished.runs, Answer, "answer")
    for arm in report["arms"]:
        for metric, shown in arm["metrics"].items():
            own = [s.value for s in scores if (s.arm, s.metric) == (arm["arm"], metric) and s.value is not None]
            assert shown["value"] == pytest.approx(sum(own) / len(own), abs=1e-12)
            assert shown["n"] == len(own)
        own_answers = [answer for answer in answers if answer.arm == arm["arm"]]
        assert arm["prompt_tokens"] == pytest.approx(
            sum(answer.n_prompt_tokens for answer in own_answers) / len(own_answers)
        )
    keys = {stage["name"]: stage["key"] for stage in report["stages"]}
    assert set(keys.values()) < set(results_of(finished.runs))
