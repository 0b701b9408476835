from __future__ import annotations

import dataclasses
import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tuned import KilledError, changed, kill_at, make_rows, train

from fourfold.errors import ModelError, StoreError
from fourfold.llm.weights import Weights
from fourfold.tuning.checkpoints import claim, last_whole, mark_whole, telling_full_disk
from fourfold.tuning.train import TrainingSet


def make(folder: Path, *steps: int, whole: bool = True) -> None:
    for step in steps:
        (folder / f"checkpoint-{step}").mkdir(parents=True)
        if whole:
            mark_whole(folder / f"checkpoint-{step}")


def test_the_newest_whole_one_counts_and_others_are_removed(tmp_path: Path) -> None:
    make(tmp_path, 5, 10)
    make(tmp_path, 15, whole=False)
    assert last_whole(tmp_path) == tmp_path / "checkpoint-10"
    assert not (tmp_path / "checkpoint-15").exists()
    assert last_whole(tmp_path / "none") is None


def test_checkpoints_of_another_tuning_are_refused(tmp_path: Path) -> None:
    claim(tmp_path / "a", "one")
    claim(tmp_path / "a", "one")
    with pytest.raises(StoreError, match="checkpoints of another tuning"):
        claim(tmp_path / "a", "other")
    make(tmp_path / "b", 5)
    with pytest.raises(StoreError, match="nobody knows what"):
        claim(tmp_path / "b", "one")


@pytest.mark.parametrize(
    "change",
    [
        {"tuning": changed(rank=8)},
        {"data": TrainingSet(rows=make_rows(7))},
        {"seed": 1},
    ],
)
def test_a_run_does_not_go_on_from_an_adapter_of_another_rank_or_set(
    tmp_path: Path, tiny: Weights, change: dict[str, Any]
) -> None:
    with pytest.raises(KilledError):
        train(tmp_path, tiny, progress=kill_at(2))
    with pytest.raises(StoreError, match="checkpoints of another tuning"):
        train(tmp_path, tiny, **change)


def test_a_setting_that_moves_no_weight_may_change_after_a_kill(tmp_path: Path, tiny: Weights) -> None:
    whole = train(tmp_path / "whole", tiny)
    with pytest.raises(KilledError):
        train(tmp_path / "killed", tiny, progress=kill_at(2))
    assert train(tmp_path / "killed", tiny, changed(checkpoint_steps=9, method="qlora")).digest == whole.digest


def test_a_run_does_not_go_on_from_an_adapter_of_another_base(tmp_path: Path, tiny: Weights) -> None:
    with pytest.raises(KilledError):
        train(tmp_path, tiny, progress=kill_at(2))
    with pytest.raises(StoreError, match="checkpoints of another tuning"):
        train(tmp_path, dataclasses.replace(tiny, digest="another"))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc:672] . PytorchStreamWriter failed writing file data/0"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_told_as_such(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(StoreError, match="no space left"), telling_full_disk(tmp_path):
        raise error


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="denied"), telling_full_disk(tmp_path):
        raise OSError(errno.EACCES, "denied")


def test_a_disk_that_fills_up_at_a_checkpoint_costs_no_older_one(
    tmp_path: Path, tiny: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole", tiny)
    real, n_saved = torch.save, 0

    def save(*args: Any, **kwargs: Any) -> None:
        nonlocal n_saved
        n_saved += 1
        # A checkpoint is four such files beside the weights: this is within the second.
        if n_saved == 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", save)
        with pytest.raises(StoreError, match="no space left"):
            train(tmp_path / "full", tiny)
    resumed_at: list[int] = []
    resumed = train(tmp_path / "full", tiny, progress=lambda done, _: resumed_at.append(done))
    assert resumed_at[0] == 2
    assert resumed == whole


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_ruined(
    tmp_path: Path, tiny: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole", tiny)
    real, n_steps = torch.nn.utils.clip_grad_norm_, 0

    def clip(parameters: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal n_steps
        n_steps += 1
        parameters = list(parameters)
        if n_steps == 3:
            next(p for p in parameters if p.grad is not None).grad[0] = float("nan")
        return real(parameters, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
        with pytest.raises(ModelError, match=r"a gradient is not finite at step 3, on the questions \d(, \d){3}"):
            train(tmp_path / "diverged", tiny)
    # What was whole before is gone on from.
    assert train(tmp_path / "diverged", tiny) == whole
