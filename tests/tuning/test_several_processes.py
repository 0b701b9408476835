"""Several processes share out a step's rows: the shipped configuration of accelerate, on the CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.tiny import make_tiny_model
from support.tuned import changed, train

ROOT = Path(__file__).parents[2]
TUNING = changed(objective="cit", micro_batch_rows=1)
RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from support.tuned import train
from fourfold.llm.weights import find_language_model
from fourfold.study import TuningSettings
folder, model, tuning = Path(sys.argv[2]), Path(sys.argv[3]), TuningSettings.model_validate_json(sys.argv[4])
train(folder, find_language_model(str(model), model), tuning)
"""


# Two processes that each load torch and train: half a minute.
@pytest.mark.long
def test_two_processes_train_the_adapter_that_one_does(tmp_path: Path) -> None:
    weights = make_tiny_model(tmp_path / "model")
    train(tmp_path / "one", weights, TUNING)
    script = tmp_path / "run.py"
    script.write_text(RUN)
    done = subprocess.run(
        [
            sys.executable, "-m", "accelerate.commands.launch",
            "--config_file", str(ROOT / "examples" / "tuning" / "several_cpus.yaml"),
            str(script), str(ROOT / "tests"), str(tmp_path / "two"), str(tmp_path / "model"), TUNING.model_dump_json(),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=2e-2, atol=5e-4)
    assert not (tmp_path / "two" / "checkpoints").exists()
