"""A run on the embedded weights, in bf16, killed (SIGKILL) while it trains and while it answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.part import write_part

from fourfold.app.progress import Reporter
from fourfold.app.run import default_cache, run_study
from fourfold.store import Store
from fourfold.study_file import load_study
from fourfold.types import Answer, Question, Score

FOURFOLD = Path(sys.executable).with_name("fourfold")


def rows_of(runs: Path) -> dict[str, Any]:
    """Every row that a verdict rests on, and the adapter's digest."""
    with Store.open(runs) as store:
        keys = dict(store.connection.execute("SELECT stage, key FROM results").fetchall())
        (digest,) = store.connection.execute("SELECT digest FROM results WHERE stage = 'tune'").fetchone()
        return {
            "adapter": digest,
            "questions": store.read(Question, keys["questions"]),
            "answers": store.read(Answer, keys["answer"]),
            "scores": store.read(Score, keys["score"]),
        }


def run_and_kill(study: Path, runs: Path, *, at: str) -> int:
    """Starts the command and kills it as soon as its stderr shows a line that starts with `at`."""
    with subprocess.Popen(
        [FOURFOLD, "run", study, "--runs", runs], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip().startswith(at):
                process.send_signal(signal.SIGKILL)
        return process.wait()


@pytest.mark.long
@pytest.mark.parametrize("at", ["writing", "tuning: 1/", "arm rag", "arm tuned:"])
def test_a_killed_run_ends_with_the_numbers_of_one_that_was_not(at: str, tmp_path: Path) -> None:
    study = write_part(tmp_path)

    def finish(runs: Path) -> None:
        run_study(load_study(study), runs, cache=default_cache(os.environ), reporter=Reporter(quiet=True))

    finish(tmp_path / "whole")
    assert run_and_kill(study, tmp_path / "killed", at=at) == -signal.SIGKILL
    finish(tmp_path / "killed")
    assert rows_of(tmp_path / "killed") == rows_of(tmp_path / "whole")
