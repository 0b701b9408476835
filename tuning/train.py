"""Trains one adapter: base, method, objective and rows of the study, by transformers' Trainer.

A killed run goes on at its last whole checkpoint and ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from fourfold.digest import digest_of, digest_of_file
from fourfold.errors import ModelError, QuestionError
from fourfold.llm.load import load_base, load_config
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings, TuningSettings
from fourfold.tuning.attention import require_causal
from fourfold.tuning.batches import token_budget
from fourfold.tuning.checkpoints import claim, last_whole, telling_full_disk
from fourfold.tuning.dpo import Preference, preference_trainer
from fourfold.tuning.drift import Drift, Probe, measure_drift
from fourfold.tuning.hardware import require_hardware
from fourfold.tuning.identity import settings_that_matter
from fourfold.tuning.loss import require_plain_head
from fourfold.tuning.memory import require_memory
from fourfold.tuning.methods import require_base, with_adapter
from fourfold.tuning.objectives import holds_documents, objective_of, shown_in
from fourfold.tuning.order import order_rows
from fourfold.tuning.reference import reference_logprobs
from fourfold.tuning.rows import TuningRow
from fourfold.tuning.shared_rows import n_read
from fourfold.tuning.trainer import answer_trainer, rows_of_process, training_arguments
from fourfold.tuning.validation import Look, best_look, validation_loss
from fourfold.tuning.watch import Progress, Watched, best_weights, callback, drift_of, looks_of

# What of the settings says which adapters a study has, not how one is trained.
_NOT_OF_ONE = {"seeds", "control", "single_forms"}
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What is tuned and on what: weights, their dtype and quantisation; 'cpu', 'cuda' or 'cuda:N', and its free bytes.

    `available_bytes` is None where the machine does not say.
    """

    weights: Weights
    settings: ModelSettings
    device: str
    available_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """What is trained on, and looked at meanwhile.

    Args:
        rows: training rows; order and batches follow from them and from the settings.
        validation: rows of validation questions in the same forms; needed for checkpoint = best.
        probes: documents whose drift is followed.
        rejected: for objective dpo, by question id: token ids of the answer that is worse, end token included.
    """

    rows: Sequence[TuningRow]
    validation: Sequence[TuningRow] = ()
    probes: Sequence[Probe] = ()
    rejected: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedAdapter:
    """What training gave. `n_tokens` counts prompt and answer tokens over all epochs, padding not counted.

    `best_step` is the step whose weights were kept where validation questions chose; None: the last one's. `looks` are
    the losses on them, `drift` the documents' after each epoch. `saved_share` is the share of `n_tokens` that was read
    for another row of the same step already; None where rows stand side by side.
    """

    digest: str
    n_rows: int
    n_steps: int
    n_tokens: int
    n_answer_tokens: int
    loss_first: float
    loss_last: float
    n_parameters: int
    best_step: int | None = None
    looks: tuple[Look, ...] = ()
    drift: tuple[Drift, ...] = ()
    saved_share: float | None = None


def train_adapter(
    folder: Path,
    data: TrainingSet,
    base: Base,
    *,
    tuning: TuningSettings,
    seed: int,
    progress: Progress,
) -> TrainedAdapter:
    """Train one adapter into `folder` (adapter_model.safetensors, adapter_config.json, training.json).

    Args:
        folder: where the adapter goes; may hold the checkpoints of a killed run, which are used and then removed.
        data: what is trained on.
        base: the model that every arm answers on.
        tuning: the hyperparameters; its list of seeds is not looked at.
        seed: initial adapter weights and order of rows.
        progress: told (steps done, steps in all).

    Raises:
        ModelError: a base, method or machine that cannot be trained right, or a loss that is not finite.
        QuestionError: nothing to choose a checkpoint by, or no pair for dpo.
        StoreError: the disk is full, or the folder holds another tuning's checkpoints.
    """
    import torch
    from accelerate import PartialState

    _require(data, base, tuning)
    ordered = order_rows(
        data.rows,
        epochs=tuning.epochs,
        batch_rows=tuning.batch_rows,
        seed=seed,
        shared=tuning.attention == "segment",
    )
    checkpoints = folder / "checkpoints"
    # With several processes one writes, and the others wait until it has.
    processes = PartialState(cpu=base.device == "cpu")
    _require_whole_steps(len(ordered), tuning, processes.num_processes)
    with processes.main_process_first():
        claim(checkpoints, _identity(data, base, tuning, seed))
    with torch.random.fork_rng(), quiet_transformers(), telling_full_disk(folder):
        torch.manual_seed(seed)
        peft_model = _fresh(base, tuning)
        trainer = _trainer(peft_model, ordered, data, base, tuning=tuning, place=(checkpoints, seed, progress))
        with processes.main_process_first():
            found = last_whole(checkpoints)
        trainer.train(resume_from_checkpoint=None if found is None else str(found))
        trained = _result(trainer, data, ordered, peft_model, tuning)
        if trained.best_step is not None:
            _load(peft_model, best_weights(checkpoints))
        with processes.main_process_first():
            if processes.is_main_process:
                _save(peft_model, folder, base)
    trained = dataclasses.replace(trained, digest=digest_of_file(folder / "adapter_model.safetensors"))
    if processes.is_main_process:
        _write_record(folder, base, tuning, seed, trained)
        shutil.rmtree(checkpoints, ignore_errors=True)
    return trained


def _require(data: TrainingSet, base: Base, tuning: TuningSettings) -> None:
    if tuning.checkpoint == "best" and not data.validation:
        raise QuestionError(
            "there is nothing to choose a checkpoint by",
            seen="tuning.checkpoint = best, 0 validation questions",
            expected="validation questions: test questions must not choose what they judge",
            hint="set questions.n_validation, for example to 20, or tuning.checkpoint to last",
        )
    if tuning.objective == "dpo" and (alone := {row.question_id for row in data.rows} - data.rejected.keys()):
        raise QuestionError(
            "rows without an answer to reject",
            seen=", ".join(sorted(alone)[:5]),
            expected="a worse answer for every row of objective dpo",
            hint="leave these rows out",
        )
    require_base(tuning, base.settings)
    require_hardware(base.settings, device=base.device)
    if tuning.attention == "segment":
        budget = token_budget(data.rows, micro_batch_rows=tuning.micro_batch_rows)
        require_causal(load_config(base.weights), n_tokens=budget)
    require_memory(base.weights, base.settings, data.rows, tuning=tuning, available_bytes=base.available_bytes)


def _require_whole_steps(n_rows: int, tuning: TuningSettings, n_processes: int) -> None:
    # A step that does not part evenly is filled with rows from the beginning, which would then count twice.
    if n_processes > 1 and (tuning.batch_rows % n_processes or n_rows % tuning.batch_rows):
        raise ModelError(
            "the rows cannot be shared out evenly over the processes",
            seen=f"{n_rows} rows over all epochs, {tuning.batch_rows} a step, {n_processes} processes",
            expected="rows that fill whole steps, and steps that part into as many shares as there are processes",
            hint="choose batch_rows and the number of tuning questions so, or start one process",
        )


def _trainer(
    peft_model: Any,
    ordered: Sequence[TuningRow],
    data: TrainingSet,
    base: Base,
    *,
    tuning: TuningSettings,
    place: tuple[Path, int, Progress],
) -> Any:
    from transformers import PrinterCallback

    checkpoints, seed, progress = place
    known = _untuned(peft_model, data, base, tuning, checkpoints)
    arguments = training_arguments(tuning, checkpoints, n_rows=len(ordered), seed=seed, device=base.device)
    if tuning.objective == "dpo":
        pairs = [Preference(row=row, rejected_ids=data.rejected[row.question_id]) for row in ordered]
        trainer = preference_trainer(peft_model, pairs, base.weights, tuning=tuning, arguments=arguments)
    else:
        objective = _in_dtype(base, objective_of(tuning))
        held = known if holds_documents(tuning) else {}
        trainer = answer_trainer(peft_model, ordered, objective, tuning=tuning, arguments=arguments, base=held)
    # It prints each step's loss to stdout, which is for results.
    trainer.remove_callback(PrinterCallback)
    student = peft_model.get_base_model()
    n_an_epoch = len(ordered) // tuning.epochs
    watched = Watched(
        rows=ordered,
        tuning=tuning,
        epoch_of={math.ceil(e * n_an_epoch / tuning.batch_rows): e for e in range(1, tuning.epochs + 1)},
        validate=_in_dtype(base, functools.partial(validation_loss, student, data.validation))
        if tuning.checkpoint == "best"
        else None,
        measure=_in_dtype(base, functools.partial(measure_drift, student, data.probes, known)) if data.probes else None,
        progress=progress,
    )
    trainer.add_callback(callback(watched))
    return trainer


def _in_dtype(base: Base, run: Callable[P, T]) -> Callable[P, T]:
    """With the adapter's float32 weights multiplied in the base's dtype."""

    def running(*args: P.args, **kwargs: P.kwargs) -> T:
        import torch

        dtype = base.settings.dtype
        kind = base.device.partition(":")[0]
        with torch.autocast(kind, dtype=getattr(torch, dtype), enabled=dtype != "float32"):
            return run(*args, **kwargs)

    return running


def _fresh(base: Base, tuning: TuningSettings) -> Any:
    loaded = load_base(base.weights, base.settings, device=base.device)
    require_plain_head(loaded.config)
    return with_adapter(loaded, tuning)


def _untuned(
    peft_model: Any,
    data: TrainingSet,
    base: Base,
    tuning: TuningSettings,
    checkpoints: Path,
) -> Mapping[str, tuple[float, ...]]:
    """What the untuned model gives the documents that are followed or held."""
    from accelerate import PartialState

    shown = [probe.shown for probe in data.probes]
    if holds_documents(tuning):
        shown += [shown_in(row) for row in data.rows if row.document_spans]
    if not shown:
        return {}
    identity = digest_of([base.weights.digest, base.settings.quantisation, base.settings.dtype])
    with PartialState().main_process_first():
        return _in_dtype(base, reference_logprobs)(peft_model, shown, folder=checkpoints, base=identity)


def _save(peft_model: Any, folder: Path, base: Base) -> None:
    # PEFT notes where the base was loaded from: a path of this machine, of no use to anybody else.
    peft_model.peft_config["default"].base_model_name_or_path = base.weights.name
    # False: "auto" would ask the hub for the base's configuration.
    peft_model.save_pretrained(folder, save_embedding_layers=False)


def _load(peft_model: Any, folder: Path) -> None:
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(peft_model, load_file(folder / "adapter_model.safetensors"))


def _result(
    trainer: Any, data: TrainingSet, ordered: Sequence[TuningRow], peft_model: Any, tuning: TuningSettings
) -> TrainedAdapter:
    history = trainer.state.log_history
    losses = [entry["loss"] for entry in history if "loss" in entry]
    looks = looks_of(history)
    # Fewer than all where tuning stopped early.
    seen = ordered[: trainer.state.global_step * tuning.batch_rows]
    return TrainedAdapter(
        digest="",
        n_rows=len(data.rows),
        n_steps=trainer.state.global_step,
        n_tokens=sum(row.n_tokens for row in seen),
        n_answer_tokens=sum(len(row.answer_ids) for row in seen),
        loss_first=losses[0],
        loss_last=losses[-1],
        n_parameters=peft_model.get_nb_trainable_parameters()[0],
        best_step=best_look(looks).step if looks else None,
        looks=tuple(looks),
        drift=tuple(drift_of(history)),
        saved_share=_saved_share(ordered, tuning) if tuning.attention == "segment" else None,
    )


def _saved_share(ordered: Sequence[TuningRow], tuning: TuningSettings) -> float:
    n = rows_of_process(tuning)
    budget = token_budget(ordered, micro_batch_rows=tuning.micro_batch_rows)
    steps = (ordered[start : start + n] for start in range(0, len(ordered), n))
    return 1 - n_read(steps, budget=budget) / sum(row.n_tokens for row in ordered)


def _identity(data: TrainingSet, base: Base, tuning: TuningSettings, seed: int) -> str:
    return digest_of([
        list(data.rows), list(data.validation), sorted(data.rejected.items()), base.weights.digest,
        base.settings.dtype, base.settings.quantisation, settings_that_matter(tuning), seed,
    ])  # fmt: skip


def _write_record(folder: Path, base: Base, tuning: TuningSettings, seed: int, trained: TrainedAdapter) -> None:
    record = {
        "base": {"name": base.weights.name, "digest": base.weights.digest, **base.settings.model_dump(mode="json")},
        "tuning": {**tuning.model_dump(mode="json", exclude=_NOT_OF_ONE), "seed": seed},
        "result": dataclasses.asdict(trained),
    }
    (folder / "training.json").write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
