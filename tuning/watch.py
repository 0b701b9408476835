"""What is done between optimiser steps: progress, marks on whole checkpoints, looks at validation questions, drift."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.study import TuningSettings
from fourfold.tuning.checkpoints import mark_whole
from fourfold.tuning.drift import Drift
from fourfold.tuning.rows import TuningRow
from fourfold.tuning.trainer import refuse_divergence
from fourfold.tuning.validation import Look, best_look, is_spent

Progress = Callable[[int, int], None]
_BEST = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What to look at, and how.

    Args:
        rows: in training order; a step's questions are named where it diverges.
        tuning: how often, and when to stop.
        epoch_of: number of the epoch that ends with a step, by step.
        validate: mean answer loss on validation questions; None: nobody looks.
        measure: drift after an epoch; None: nobody measures.
        progress: told (steps done, steps in all).
    """

    rows: Sequence[TuningRow]
    tuning: TuningSettings
    epoch_of: dict[int, int]
    validate: Callable[[], float] | None
    measure: Callable[[int], Drift] | None
    progress: Progress


def looks_of(history: Sequence[dict[str, Any]]) -> list[Look]:
    """The looks in a trainer's log."""
    return [Look(**entry["look"]) for entry in history if "look" in entry]


def drift_of(history: Sequence[dict[str, Any]]) -> list[Drift]:
    """The drift in a trainer's log."""
    return [Drift(**entry["drift"]) for entry in history if "drift" in entry]


def best_weights(checkpoints: Path) -> Path:
    """Where the weights of the best look are kept."""
    return checkpoints / _BEST


def callback(watched: Watched) -> Any:
    """The watch as transformers calls it."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Writes into the trainer's log, which every checkpoint holds."""

        def on_pre_optimizer_step(self, _args: Any, state: Any, _control: Any, model: Any, **_: object) -> None:
            # A step along such a gradient would ruin the weights, and the next checkpoint with them.
            if not _is_finite(model):
                refuse_divergence(watched.rows, watched.tuning, state.global_step, "a gradient is not finite")

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **_: object) -> None:
            step = state.global_step
            looks = looks_of(state.log_history)
            if looks and is_spent(looks, watched.tuning.patience):
                # Gone on from the checkpoint of the step at which it stopped, whose stop transformers forgets.
                control.should_training_stop = True
                return
            if watched.measure is not None and step in watched.epoch_of:
                drift = watched.measure(watched.epoch_of[step])
                state.log_history.append({"step": step, "drift": dataclasses.asdict(drift)})
            if watched.validate is not None and (step % watched.tuning.evaluate_steps == 0 or step == state.max_steps):
                look = Look(step=step, loss=watched.validate())
                _take(look, state, model, checkpoints=Path(args.output_dir))
                control.should_training_stop |= is_spent(looks_of(state.log_history), watched.tuning.patience)
            watched.progress(step, state.max_steps)

        def on_save(self, args: Any, state: Any, _control: Any, **_: object) -> None:
            if state.is_world_process_zero:
                mark_whole(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    return Watch()


def _is_finite(model: Any) -> bool:
    import torch

    return all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def _take(look: Look, state: Any, model: Any, *, checkpoints: Path) -> None:
    """Write a look into the log, and keep the weights where none was better."""
    state.log_history.append({"step": look.step, "look": dataclasses.asdict(look)})
    # Several processes see the same; one writes.
    if best_look(looks_of(state.log_history)) == look and state.is_world_process_zero:
        _keep(model, best_weights(checkpoints))


def _keep(peft_model: Any, folder: Path) -> None:
    """The adapter's weights, whole or not at all."""
    scratch = folder.with_name(folder.name + ".new")
    shutil.rmtree(scratch, ignore_errors=True)
    peft_model.save_pretrained(scratch, save_embedding_layers=False)
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)
