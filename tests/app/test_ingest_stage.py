from __future__ import annotations

import io
from pathlib import Path

import pytest
from support.pdfs import Text, encrypted_pdf, pdf_bytes

from fourfold.app.context import Context
from fourfold.app.pipeline import missing_stages, run_stages
from fourfold.app.progress import Reporter
from fourfold.app.stages.ingest import STAGE
from fourfold.errors import StudyError
from fourfold.store import Store
from fourfold.study import CorpusSettings, StudySettings
from fourfold.study_file import dump_study, load_study

SECRET = "correct horse battery"


@pytest.fixture
def study(tmp_path: Path) -> StudySettings:
    folder = tmp_path / "pdfs"
    folder.mkdir()
    (folder / "locked.pdf").write_bytes(encrypted_pdf(user_password=SECRET))
    (folder / "open.pdf").write_bytes(pdf_bytes([[Text(72, 100, "Open.")]]))
    return StudySettings(name="s", corpus=CorpusSettings(folder=folder, passwords={"locked.pdf": "KEY"}, ocr="off"))


def run(study: StudySettings, runs: Path) -> tuple[int, str, list[str]]:
    """How many stages were carried out, what was said, and the documents' states."""
    said = io.StringIO()
    with Store.open(runs) as store:
        context = Context(study=study, store=store, reporter=Reporter(said), cache=runs)
        n_run = run_stages(context, [STAGE])
        return n_run, said.getvalue(), [document.status for document in context.documents]


def test_a_password_is_used_and_never_stored_or_said(
    study: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", SECRET)
    n_run, said, states = run(study, tmp_path / "runs")
    assert (n_run, states) == (1, ["read", "read"])
    assert SECRET not in said + dump_study(study)
    for path in (tmp_path / "runs").rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path


def test_the_stage_is_carried_out_again_when_the_password_begins_to_open_the_file(
    study: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEY", raising=False)
    n_run, said, states = run(study, tmp_path / "runs")
    assert (n_run, states) == (1, ["unread", "read"])
    assert "not read: locked.pdf: encrypted: the environment variable KEY is not set" in said
    assert run(study, tmp_path / "runs")[0] == 0
    monkeypatch.setenv("KEY", SECRET)
    assert run(study, tmp_path / "runs")[0] == 1
    monkeypatch.delenv("KEY")
    assert run(study, tmp_path / "runs")[0] == 0, "the first result is still there"


def test_progress_shows_files_pages_and_their_rate(
    study: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", SECRET)
    _, said, _ = run(study, tmp_path / "runs")
    assert "reading: 2/2 files, 2 pages, " in said
    assert "pages/s" in said


def test_a_changed_file_is_looked_for_under_another_key(study: StudySettings, tmp_path: Path) -> None:
    run(study, tmp_path / "runs")
    (study.corpus.folder / "open.pdf").write_bytes(pdf_bytes([[Text(72, 100, "Changed.")]]))
    with Store.open(tmp_path / "runs") as store:
        context = Context(study=study, store=store, reporter=Reporter(quiet=True), cache=tmp_path)
        assert missing_stages(context, [STAGE]) == ["ingest"]


def test_a_password_written_in_place_of_a_variable_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(f"name: s\ncorpus:\n  folder: .\n  passwords:\n    a.pdf: {SECRET}\n")
    with pytest.raises(StudyError, match=r"corpus\.passwords\.a\.pdf") as error:
        load_study(path)
    assert SECRET not in str(error.value)
    assert "(not shown)" in str(error.value)
