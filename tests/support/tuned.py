"""Training runs on the tiny model, for tests of what training does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings, TuningSettings
from fourfold.tuning.rows import TuningRow
from fourfold.tuning.train import Base, TrainedAdapter, TrainingSet, train_adapter

PLAIN = ModelSettings(dtype="float32", quantisation="none")
ROUNDED = ModelSettings(dtype="float32", quantisation="nf4")
TUNING = TuningSettings(
    rank=4, alpha=8, epochs=2, batch_rows=4, micro_batch_rows=2, checkpoint_steps=1, learning_rate=1e-2
)


class KilledError(Exception):
    """Stands for a kill between two steps."""


def make_rows(n: int = 8) -> list[TuningRow]:
    """Rows of different lengths that show two documents each."""
    return [
        TuningRow(
            question_id=str(number),
            form="with contexts",
            prompt_ids=tuple(range(number + 3, number + 15 + number % 3)),
            answer_ids=(40 + number, 41, 2),
            document_spans=((2, 5), (6, 10)),
        )
        for number in range(n)
    ]


def changed(**fields: Any) -> TuningSettings:
    """The tests' settings with others, checked as a study's are."""
    return TuningSettings.model_validate({**TUNING.model_dump(), **fields})


def train(
    folder: Path,
    weights: Weights,
    tuning: TuningSettings = TUNING,
    *,
    data: TrainingSet | None = None,
    model: ModelSettings = ROUNDED,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    available_bytes: int | None = None,
) -> TrainedAdapter:
    """Train on the CPU into a folder that may hold a killed run's checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    base = Base(weights=weights, settings=model, device="cpu", available_bytes=available_bytes)
    data = data or TrainingSet(rows=make_rows())
    return train_adapter(folder, data, base, tuning=tuning, seed=seed, progress=progress)


def kill_at(step: int) -> Callable[[int, int], None]:
    """Progress that is killed when a step is done."""

    def progress(done: int, _total: int) -> None:
        if done == step:
            raise KilledError

    return progress
