"""The memory check; everything else that is checked beforehand stands in test_bad_input.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fourfold.app import check
from fourfold.app.check import Finding, check_study
from fourfold.errors import ModelError
from fourfold.llm.weights import Weights
from fourfold.study import AnswerSettings, CorpusSettings, ModelSettings, StudySettings
from fourfold.types import ARMS, Arm

GB = 1_000_000_000


@pytest.fixture
def one_gb(tmp_path: Path) -> Weights:
    """Weights of 1 GB, sparse on disk."""
    (tmp_path / "model").mkdir()
    return Weights(name="big", folder=_sized(tmp_path / "model" / "model.safetensors", GB).parent, digest="0")


def _sized(path: Path, n_bytes: int) -> Path:
    path.touch()
    os.truncate(path, n_bytes)
    return path


def memory(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    available: int | None,
    weights: Weights | None,
    arms: tuple[Arm, ...] = ARMS,
) -> Finding:
    """What the check says of memory where `available` bytes are free."""
    monkeypatch.setattr(check, "_available_bytes", lambda: available)
    if weights is not None:
        monkeypatch.setattr(check, "find_language_model", lambda _id, _cache: weights)
    study = StudySettings(
        name="s",
        corpus=CorpusSettings(folder=folder),
        model=ModelSettings(id="no-such-model"),
        answer=AnswerSettings(arms=arms),
    )
    (found,) = (f for f in check_study(study, folder / "runs", cache=folder / "cache") if f.what == "memory")
    return found


@pytest.mark.parametrize(
    ("arms", "needed"),
    [
        # 1 GB once and 2 GB to answer; with tuning 1 GB twice and 3.5 GB.
        (("base",), 3 * GB),
        (("base", "rag"), 3 * GB),
        (("base", "tuned"), 5.5 * GB),
        (("tuned + rag",), 5.5 * GB),
        (ARMS, 5.5 * GB),
    ],
)
def test_a_study_without_tuned_arms_needs_less_memory(
    tmp_path: Path, one_gb: Weights, monkeypatch: pytest.MonkeyPatch, arms: tuple[Arm, ...], needed: float
) -> None:
    enough = memory(tmp_path, monkeypatch, available=int(needed), weights=one_gb, arms=arms)
    assert enough.problem is None
    assert enough.found == f"{needed / GB:.1f} GB available, about {needed / GB:.1f} GB wanted"
    short = memory(tmp_path, monkeypatch, available=int(needed) - 1, weights=one_gb, arms=arms)
    assert isinstance(short.problem, ModelError)
    assert short.found is None


def test_too_little_memory_says_how_much_there_is_how_much_is_wanted_and_what_to_leave_out(
    tmp_path: Path, one_gb: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = str(memory(tmp_path, monkeypatch, available=GB, weights=one_gb).problem)
    for part in ("not enough memory", "1.0 GB available", "about 5.5 GB", "answer.arms"):
        assert part in told


def test_a_gguf_file_grows_fourfold_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gguf = _sized(tmp_path / "model.gguf", GB)
    weights = Weights(name="big", folder=tmp_path / "not converted yet", digest="0", gguf=gguf)
    assert memory(tmp_path, monkeypatch, available=6 * GB, weights=weights, arms=("base",)).problem is None
    assert memory(tmp_path, monkeypatch, available=6 * GB - 1, weights=weights, arms=("base",)).problem is not None


def test_a_system_that_does_not_say_what_is_free_is_no_mistake(
    tmp_path: Path, one_gb: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = memory(tmp_path, monkeypatch, available=None, weights=one_gb)
    assert found.problem is None
    assert found.found == "5.5 GB wanted; this system does not say what is free"


def test_without_a_model_memory_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = memory(tmp_path, monkeypatch, available=0, weights=None)
    assert (found.found, found.problem) == ("not looked at: no language model", None)
