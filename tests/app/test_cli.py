"""The command line: help, exit codes, what goes to which stream."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.scripted import write_inputs

from fourfold.app import cli
from fourfold.app.stages import STAGES
from fourfold.study import StudySettings
from fourfold.study_file import load_study

if TYPE_CHECKING:
    from app.conftest import Finished

FOURFOLD = Path(sys.executable).with_name("fourfold")
COMMANDS = [
    "init",
    "check",
    "run",
    "report",
    "dashboard",
    "sweep",
    "compare",
    "models",
    "review",
    "export",
    "dry-run",
    "judge",
    "adapter",
    *(stage.name for stage in STAGES[:-1]),
]


def call(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FOURFOLD, *map(str, arguments)],
        env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def call_here(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["fourfold", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call_here(monkeypatch, command, "--help") == 0
    assert f"fourfold {command}" in capsys.readouterr().out.replace("Usage: fourfold.", "Usage: fourfold ")


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['fourfold', '--help']\n"
        "from fourfold.app import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'llama_index', 'qdrant_client', 'pymupdf', 'numpy', 'pydantic'}\n"
        "heavy |= {'streamlit'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    *told, loaded = done.stdout.strip().splitlines()
    assert loaded == "[]"
    for command in COMMANDS:
        assert any(line.split()[:1] == [command] for line in told), command


def test_a_wrong_option_ends_with_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call_here(monkeypatch, "run", "study.yaml", "--nonsense") == 2
    assert "--nonsense" in capsys.readouterr().err


def test_init_writes_a_study_that_loads_and_stands_at_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_inputs(tmp_path)
    out = tmp_path / "mine.yaml"
    assert call_here(monkeypatch, "init", tmp_path / "pdfs", "--out", out) == 0
    assert capsys.readouterr().out.strip() == str(out)
    study = load_study(out)
    assert study.corpus.folder == tmp_path / "pdfs"
    untouched = {"name", "corpus", "questions"}
    assert study.model_dump(exclude=untouched) == StudySettings(name="a", corpus=study.corpus).model_dump(
        exclude=untouched
    )
    text = out.read_text(encoding="utf-8")
    for group in StudySettings.model_fields.values():
        for name in getattr(group.annotation, "model_fields", {}):
            assert f"{name}:" in text


def test_init_leaves_a_file_that_is_there_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = write_inputs(tmp_path)
    before = study.read_bytes()
    assert call_here(monkeypatch, "init", tmp_path / "pdfs", "--out", study) == 2
    assert study.read_bytes() == before


def test_check_lists_what_it_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_inputs(tmp_path)
    assert call_here(monkeypatch, "check", study, "--runs", tmp_path / "runs") == 0
    looked_at = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert looked_at == [
        "corpus", "test questions", "language model", "embedder", "vectors", "working folder", "disk", "memory"
    ]  # fmt: skip


def test_run_again_says_that_there_is_nothing_to_do_and_prints_the_report(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    assert call_here(monkeypatch, "run", finished.study, "--runs", runs) == 0
    shown = capsys.readouterr()
    assert "nothing to do: every stage was there already" in shown.err
    assert finished.done.report is not None
    assert finished.done.report.sentence.split()[0] in shown.out
    assert str(runs / "tiny" / "report.html") in shown.out


def test_report_prints_what_is_there_and_carries_out_nothing(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    assert call_here(monkeypatch, "report", finished.study, "--runs", runs) == 0
    assert "key fact recall" in capsys.readouterr().out
    assert call_here(monkeypatch, "report", finished.study, "retrieval.k=1", "--runs", runs) == 2
    assert "there is nothing to report yet" in capsys.readouterr().err


def test_a_stage_command_stops_after_its_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_inputs(tmp_path)
    assert call_here(monkeypatch, "ingest", study, "--runs", tmp_path / "runs") == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(tmp_path / "runs" / "tiny")
    assert "ingest: 2 of 3 files read" in shown.err
    assert "questions …" not in shown.err
    assert (tmp_path / "runs" / "tiny" / "study.yaml").is_file()


def test_the_resolved_study_loads_again_as_the_same_study(finished: Finished) -> None:
    assert load_study(finished.done.folder / "study.yaml") == load_study(finished.study)


def test_a_fault_of_ours_ends_with_1_and_its_traceback(tmp_path: Path) -> None:
    study = write_inputs(tmp_path)
    code = (
        "import sys; from fourfold.app import cli, check\n"
        "def broken(*_, **__): raise ZeroDivisionError('ours')\n"
        "check.check_study = broken\n"
        f"sys.argv = ['fourfold', 'check', {str(study)!r}]; cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError: ours" in done.stderr


def test_an_interrupt_ends_with_130_and_says_how_to_go_on(tmp_path: Path) -> None:
    study = write_inputs(tmp_path)
    code = (
        "import os, signal, sys; from fourfold.app import cli, check\n"
        # A shell starts what it puts in the background with Ctrl-C ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "check.check_study = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)\n"
        f"sys.argv = ['fourfold', 'check', {str(study)!r}]; cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert "the same command goes on from there" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_runs_in_one_folder_are_refused(finished: Finished, tmp_path: Path) -> None:
    import fcntl

    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    with (runs / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = call("run", finished.study, "--runs", runs)
    assert done.returncode == 2
    assert "another run is using this working folder" in done.stderr
