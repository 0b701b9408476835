"""Input that cannot be used, through the command line: exit code 2, four parts, and nothing finished is lost."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.pdfs import NO_PAGES, drawing_pdf, encrypted_pdf
from support.scripted import run_scripted, write_inputs

from fourfold.app import cli
from fourfold.errors import StoreError, StudyError

if TYPE_CHECKING:
    from app.conftest import Finished

NO_SPACE = shutil.disk_usage("/")._replace(free=1000)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_inputs(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command says on stderr; it must end with 2, in four parts and without a traceback."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fourfold", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
    told = capsys.readouterr().err
    assert left.value.code == 2, told
    require_four_parts(told)
    return told


def require_four_parts(told: str) -> None:
    assert "Traceback" not in told
    for part in ("fourfold: ", "seen:", "expected:", "do next:"):
        assert part in told


def test_a_missing_corpus_folder(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(capsys, "check", study, "corpus.folder=nowhere", "--runs", study.parent / "runs")
    assert "nowhere" in told


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"plain text", "not a PDF"),
        (encrypted_pdf(user_password="secret"), "password"),
        (NO_PAGES, "no pages"),
        (drawing_pdf(), "no text"),
    ],
    ids=["text", "locked", "no pages", "picture"],
)
def test_a_corpus_without_a_readable_file(
    study: Path, capsys: pytest.CaptureFixture[str], contents: bytes, reason: str
) -> None:
    shutil.rmtree(study.parent / "pdfs")
    (study.parent / "pdfs").mkdir()
    (study.parent / "pdfs" / "only.pdf").write_bytes(contents)
    told = refused(capsys, "ingest", study, "--runs", study.parent / "runs")
    assert "only.pdf" in told
    assert reason in told


def test_a_name_that_is_no_model(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(capsys, "check", study, "model.id=gpt-17", "--runs", study.parent / "runs")
    assert "no such model" in told
    assert "gpt-17" in told


class Hub(NamedTuple):
    address: str


@pytest.fixture
def empty_hub() -> Iterator[Hub]:
    """A hub that knows no model, answering as the real one does."""

    class Unknown(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unknown) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Hub(f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()


def check_with_hub(study: Path, address: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("fourfold"), "check", study, "model.id=nobody/no-model",
         "--runs", study.parent / "runs"],
        env={**os.environ, "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(study.parent / "hub")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    require_four_parts(done.stderr)
    return done.stderr


def test_an_id_that_the_hub_does_not_have(study: Path, empty_hub: Hub) -> None:
    assert "no such model on the hub" in check_with_hub(study, empty_hub.address)


def test_a_hub_that_cannot_be_reached(study: Path) -> None:
    told = check_with_hub(study, "http://127.0.0.1:9")
    assert "the hub cannot be reached" in told
    assert "nobody/no-model" in told


def test_a_typing_error_in_the_study_file(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(study.read_text().replace("retrieval:", "retrival:"))
    told = refused(capsys, "run", study, "--runs", study.parent / "runs")
    assert "retrival: unknown setting, did you mean 'retrieval'?" in told


def test_a_study_file_that_is_no_yaml(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text("name: [tiny\n")
    assert "is not YAML" in refused(capsys, "run", study, "--runs", study.parent / "runs")


def test_more_chunks_than_the_corpus_has_cost_no_question(study: Path) -> None:
    runs = study.parent / "runs"
    with pytest.raises(StudyError, match="larger than the corpus") as error:
        run_scripted(study, runs, overrides=["retrieval.k=500", "retrieval.candidates=500"])
    assert "k = 500" in str(error.value)
    assert finished_stages(runs) == {"ingest", "questions"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.unlink(), "the test questions are not there"),
        (lambda path: path.write_text("\n"), "no test questions"),
        (lambda path: path.write_text("{}\n"), "line 1"),
    ],
    ids=["missing", "empty", "wrong"],
)
def test_no_test_questions(
    study: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], object], told: str
) -> None:
    change(study.parent / "questions.jsonl")
    assert told in refused(capsys, "run", study, "--runs", study.parent / "runs")


def test_a_quote_that_is_not_in_the_document_is_told_before_any_question_is_written(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study.parent / "questions.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    path.write_text(path.read_text() + json.dumps({**row, "id": "x", "quote": "Nobody wrote this."}) + "\n")
    told = refused(capsys, "questions", study, "--runs", study.parent / "runs")
    assert "x: quote not on page" in told
    assert finished_stages(study.parent / "runs") == {"ingest"}
    with sqlite3.connect(study.parent / "runs" / "store.db") as db:
        assert db.execute("SELECT count(*) FROM generations").fetchone() == (0,)


def test_a_results_folder_of_another_version_is_left_as_it_is(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    with sqlite3.connect(runs / "store.db") as db:
        db.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    before = (runs / "store.db").read_bytes()
    told = refused(capsys, "run", finished.study, "--runs", runs)
    assert "version 999" in told
    assert (runs / "store.db").read_bytes() == before


def test_no_space_is_told_before_anything_is_carried_out(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: NO_SPACE)
    told = refused(capsys, "run", study, "--runs", study.parent / "runs")
    assert "no space for the results" in told
    assert finished_stages(study.parent / "runs") == set()


def test_space_that_runs_out_in_a_stage_keeps_the_stages_before_it(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    runs = study.parent / "runs"
    with monkeypatch.context() as patch:
        patch.setattr("fourfold.app.stages.index.build_index", full)
        with pytest.raises(StoreError, match="no space left for the results"):
            run_scripted(study, runs)
    assert finished_stages(runs) == {"ingest", "questions"}
    assert run_scripted(study, runs).n_stages_run == 5


def test_all_mistakes_are_told_together(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study.parent / "questions.jsonl").unlink()
    told = refused(capsys, "check", study, "corpus.folder=nowhere", "model.id=gpt-17", "--runs", study.parent / "runs")
    assert "3 things are wrong" in told
    for part in ("nowhere", "gpt-17", "questions.jsonl"):
        assert part in told


def finished_stages(runs: Path) -> set[str]:
    with sqlite3.connect(runs / "store.db") as db:
        return {stage for (stage,) in db.execute("SELECT stage FROM results")}
