"""A real kill: the process is ended by the system wherever it is, also within the writing of a checkpoint."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.tiny import make_tiny_model
from support.tuned import changed, train

from fourfold.digest import digest_of_file

TESTS = Path(__file__).parents[1]
TUNING = changed(epochs=100, batch_rows=4, micro_batch_rows=2, checkpoint_steps=3, learning_rate=2e-3)
RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from support.tuned import train
from fourfold.llm.weights import find_language_model
from fourfold.study import TuningSettings
folder, model, tuning = Path(sys.argv[2]), Path(sys.argv[3]), TuningSettings.model_validate_json(sys.argv[4])
train(folder, find_language_model(str(model), model), tuning, progress=lambda done, _: print(done, flush=True))
"""


# Two runs of 200 steps, and a fresh process after each of five kills: about two minutes.
@pytest.mark.long
def test_a_run_of_200_steps_killed_five_times_ends_with_the_same_bytes(tmp_path: Path) -> None:
    weights = make_tiny_model(tmp_path / "model")
    whole = train(tmp_path / "whole", weights, TUNING)
    assert whole.n_steps == 200
    chance = random.Random(7)
    for step in sorted(chance.sample(range(2, 199), 5)):
        _run_until(step, tmp_path, after_s=chance.uniform(0, 0.05))
    _run_until(None, tmp_path)
    assert digest_of_file(tmp_path / "killed" / "adapter_model.safetensors") == whole.digest


def _run_until(step: int | None, folder: Path, *, after_s: float = 0.0) -> None:
    """In a process of its own, killed a moment after a step is done; None: to its end."""
    arguments = [str(TESTS), str(folder / "killed"), str(folder / "model"), TUNING.model_dump_json()]
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments], cwd=TESTS.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if step is not None and int(line) >= step:
                time.sleep(after_s)
                process.kill()
                break
        errors = process.stderr.read()
    assert process.returncode == (0 if step is None else -9), errors[-2000:]
