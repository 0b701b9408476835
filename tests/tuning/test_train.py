from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny import make_tiny_model

from fourfold.digest import digest_of_file
from fourfold.errors import ModelError
from fourfold.llm.port import Adapter, Prompt, Sampling
from fourfold.llm.torch_engine import TorchEngine
from fourfold.llm.weights import Weights, find_language_model
from fourfold.study import ModelSettings, TuningSettings
from fourfold.tuning.rows import TuningRow
from fourfold.tuning.train import Base, TrainedAdapter, TrainingSet, train_adapter

SETTINGS = ModelSettings(dtype="float32", quantisation="nf4")
ROWS = [
    TuningRow(
        question_id=str(n), form="without contexts", prompt_ids=tuple(range(n + 3, n + 9)), answer_ids=(40 + n, 41, 2)
    )
    for n in range(8)
]
TUNING = TuningSettings(
    rank=4, alpha=8, epochs=2, batch_rows=4, micro_batch_rows=2, checkpoint_steps=1, learning_rate=1e-2
)


class _KilledError(Exception):
    """Stands for a kill between two steps."""


def _train(
    folder: Path, tiny: Weights, tuning: TuningSettings = TUNING, progress: Any = None, *, seed: int = 0
) -> TrainedAdapter:
    folder.mkdir(parents=True, exist_ok=True)
    base = Base(weights=tiny, settings=SETTINGS, device="cpu")
    return train_adapter(
        folder,
        TrainingSet(rows=ROWS),
        base,
        tuning=tuning,
        seed=seed,
        progress=progress or (lambda _done, _total: None),
    )


def test_a_tiny_model_learns_its_rows_by_heart(tmp_path: Path) -> None:
    weights = make_tiny_model(tmp_path / "model", spread=1.0)
    tuning = TUNING.model_copy(update={"epochs": 60, "rank": 16, "alpha": 32, "checkpoint_steps": 1000})
    trained = _train(tmp_path / "a", weights, tuning)
    assert trained.loss_last < 0.1 < trained.loss_first
    engine = TorchEngine(weights, SETTINGS, device="cpu")
    adapter = Adapter(folder=tmp_path / "a", digest=trained.digest)
    answers = engine.complete([Prompt(token_ids=row.prompt_ids) for row in ROWS], Sampling(max_tokens=6), adapter)
    assert [answer.token_ids for answer in answers] == [row.answer_ids for row in ROWS]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_resuming_after_a_kill_gives_the_same_bytes_as_no_kill(tmp_path: Path, tiny: Weights, step: int) -> None:
    whole = _train(tmp_path / "whole", tiny)

    def kill(done: int, _total: int) -> None:
        if done == step:
            raise _KilledError

    with pytest.raises(_KilledError):
        _train(tmp_path / "killed", tiny, progress=kill)
    resumed_at: list[int] = []
    resumed = _train(tmp_path / "killed", tiny, progress=lambda done, _total: resumed_at.append(done))
    assert resumed_at[0] == step  # the killed step had no checkpoint yet: it is the one done again
    assert resumed.digest == whole.digest
    assert (resumed.loss_first, resumed.loss_last) == (whole.loss_first, whole.loss_last)


def test_a_checkpoint_that_was_not_written_to_its_end_is_not_used(tmp_path: Path, tiny: Weights) -> None:
    whole = _train(tmp_path / "whole", tiny)

    def kill(done: int, _total: int) -> None:
        if done == 3:
            raise _KilledError

    with pytest.raises(_KilledError):
        _train(tmp_path / "killed", tiny, progress=kill)
    newest = tmp_path / "killed" / "checkpoints" / "checkpoint-2"
    (newest / "whole").unlink()
    (newest / "adapter_model.safetensors").write_bytes(b"cut off")
    resumed_at: list[int] = []
    resumed = _train(tmp_path / "killed", tiny, progress=lambda done, _total: resumed_at.append(done))
    assert resumed_at[0] == 2
    assert resumed.digest == whole.digest


def test_the_seed_decides_the_adapter(tmp_path: Path, tiny: Weights) -> None:
    digests = [_train(tmp_path / name, tiny, TUNING, seed=seed).digest for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert digests[0] == digests[1] != digests[2]


def test_training_leaves_the_callers_random_state_alone(tmp_path: Path, tiny: Weights) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    _train(tmp_path / "a", tiny)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_tokens_are_counted_over_epochs_without_padding(tmp_path: Path, tiny: Weights) -> None:
    trained = _train(tmp_path / "a", tiny)
    assert trained.n_tokens == 2 * sum(row.n_tokens for row in ROWS)
    assert trained.n_answer_tokens == 2 * 3 * len(ROWS)
    assert (trained.n_rows, trained.n_steps) == (8, 4)


def test_the_adapter_is_saved_with_its_settings_and_no_path_of_this_machine(tmp_path: Path, tiny: Weights) -> None:
    trained = _train(tmp_path / "a", tiny)
    assert digest_of_file(tmp_path / "a" / "adapter_model.safetensors") == trained.digest
    settings = json.loads((tmp_path / "a" / "training.json").read_text())
    assert settings["base"]["digest"] == tiny.digest
    used = TUNING.model_dump(mode="json", exclude={"seeds", "control", "single_forms"})
    assert settings["tuning"] == {**used, "seed": 0}
    assert str(tiny.folder) not in (tmp_path / "a" / "adapter_config.json").read_text()
    assert not (tmp_path / "a" / "checkpoints").exists()


def test_every_linear_layer_but_the_head_is_adapted(tmp_path: Path, tiny: Weights) -> None:
    from safetensors import safe_open

    _train(tmp_path / "a", tiny)
    with safe_open(tmp_path / "a" / "adapter_model.safetensors", framework="pt") as file:
        layers = {name.split(".lora_")[0].rpartition(".")[2] for name in file.keys()}  # noqa: SIM118 (no mapping)
    assert layers == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path, tiny: Weights) -> None:
    folder = shutil.copytree(tiny.folder, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"the loss is nan at step 1, on the questions \d(, \d){3}"):
        _train(tmp_path / "a", find_language_model(str(folder), tmp_path))
