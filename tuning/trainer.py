"""transformers' Trainer over our rows.

Order, loss and accumulation are ours; optimiser, checkpoints and the work of several processes are the library's.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from fourfold.errors import ModelError
from fourfold.study import TuningSettings
from fourfold.tuning.attention import use_segment_attention
from fourfold.tuning.batches import token_budget
from fourfold.tuning.objectives import Cutter, MicroBatch, Objective, Untuned, cut_padded, cut_shared
from fourfold.tuning.rows import TuningRow
from fourfold.tuning.shared_rows import frozen_head

if TYPE_CHECKING:
    import torch


def training_arguments(
    tuning: TuningSettings, checkpoints: Path, *, n_rows: int, seed: int, device: str
) -> dict[str, Any]:
    """Keyword arguments of transformers' TrainingArguments that every objective has in common; one pass over rows."""
    return {
        "output_dir": str(checkpoints),
        "num_train_epochs": 1,  # the rows hold every epoch
        "learning_rate": tuning.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": round(tuning.warmup_share * math.ceil(n_rows / tuning.batch_rows)),
        "max_grad_norm": 1.0,
        "save_strategy": "steps",
        "save_steps": tuning.checkpoint_steps,
        "save_total_limit": 2,  # the one being written, and the whole one before it
        "logging_strategy": "steps",
        "logging_steps": 1,
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_num_workers": 0,
        "seed": seed,
        "use_cpu": device == "cpu",
    }


def answer_trainer(
    peft_model: Any,
    rows: Sequence[TuningRow],
    objective: Objective,
    *,
    tuning: TuningSettings,
    arguments: Mapping[str, Any],
    base: Untuned,
) -> Any:
    """A Trainer that takes the rows in order, a batch an optimiser step.

    Args:
        peft_model: the base with its adapter; its forward becomes the objective, so that what wraps models for several
            processes sees every pass.
        rows: in training order, every epoch written out.
        objective: see `tuning.objectives`.
        tuning: batch sizes, and how passes attend.
        arguments: see `training_arguments`.
        base: the untuned model's log-probabilities of documents by `Shown.key`; may be empty.

    Raises:
        ModelError: the model cannot attend as the settings ask.
    """
    from transformers import TrainingArguments

    student = peft_model.get_base_model()
    student.forward = lambda batch, **_: objective(student, batch)
    cut = _cutter(student, rows, tuning, base)
    return _trainer_class()(
        model=peft_model,
        args=on_one_device(TrainingArguments(**arguments, per_device_train_batch_size=rows_of_process(tuning))),
        train_dataset=rows,
        data_collator=lambda some: {"batches": cut(some)},
        refuse=functools.partial(refuse_divergence, rows, tuning),
    )


def on_one_device(arguments: Any) -> Any:
    """The arguments, for one GPU of however many are seen: several are used by as many processes, as with accelerate.

    Else transformers would spread one process over all of them, with steps of as many times the rows.
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # noqa: SLF001 (the property has no setter)
    return arguments


def rows_of_process(tuning: TuningSettings) -> int:
    """Rows of an optimiser step that one of the processes sees: neighbours in the training order."""
    from accelerate import PartialState

    n_processes: int = PartialState().num_processes
    return max(1, tuning.batch_rows // n_processes)


def _cutter(student: Any, rows: Sequence[TuningRow], tuning: TuningSettings, base: Untuned) -> Cutter:
    budget = token_budget(rows, micro_batch_rows=tuning.micro_batch_rows)
    if tuning.attention == "sdpa":
        return functools.partial(cut_padded, budget=budget, pad_id=student.config.pad_token_id or 0, base=base)
    use_segment_attention(student)
    return functools.partial(cut_shared, budget=budget, n_vocabulary=len(frozen_head(student)), base=base)


def _trainer_class() -> Any:
    """Our trainer; transformers is imported where it is used."""
    import torch
    from transformers import Trainer

    class AnswerTrainer(Trainer):  # type: ignore[misc]
        """Takes a step's micro-batches; each adds its share of the step's loss to the gradients."""

        def __init__(self, *, refuse: Callable[[int, str], Never], **arguments: Any) -> None:
            super().__init__(**arguments)
            self.refuse = refuse

        def _get_train_sampler(self, train_dataset: Any = None) -> object:
            return torch.utils.data.SequentialSampler(train_dataset or self.train_dataset)

        def floating_point_ops(self, inputs: object) -> int:  # noqa: ARG002
            return 0

        def training_step(
            self,
            model: Any,
            inputs: Mapping[str, Sequence[MicroBatch]],
            num_items_in_batch: object = None,  # noqa: ARG002
        ) -> torch.Tensor:
            model.train()
            total = torch.zeros((), device=self.args.device)
            batches = _over_processes(inputs["batches"], self.accelerator)
            for batch in batches:
                # Processes may cut their rows differently: gradients meet once, in the last pass of each.
                with nullcontext() if batch is batches[-1] else self.accelerator.no_sync(model):
                    loss = model(batch=batch.to(self.args.device))
                    if not torch.isfinite(loss):
                        self.refuse(self.state.global_step, f"the loss is {loss.item()}")
                    self.accelerator.backward(loss)
                total += loss.detach()
            return total

    return AnswerTrainer


def refuse_divergence(rows: Sequence[TuningRow], tuning: TuningSettings, step: int, seen: str) -> Never:
    """Say that training left the numbers, and on which questions; whole checkpoints are from before.

    Args:
        rows: in training order.
        tuning: batch size.
        step: optimiser steps that were done.
        seen: what is not finite.

    Raises:
        ModelError: always.
    """
    batch = rows[step * tuning.batch_rows : (step + 1) * tuning.batch_rows]
    names = ", ".join(dict.fromkeys(row.question_id for row in batch))
    raise ModelError(
        "tuning left the range of numbers",
        seen=f"{seen} at step {step + 1}, on the questions {names}",
        expected="a finite loss and finite gradients; the last checkpoint is from before and is kept",
        hint="lower tuning.learning_rate, set model.dtype to float32, or look at these questions",
    )


def _over_processes(batches: Sequence[MicroBatch], accelerator: Any) -> Sequence[MicroBatch]:
    """The batches with the step's counts over all processes, whose gradients are averaged."""
    if accelerator.num_processes == 1:
        return batches
    import torch

    first = batches[0]
    own = torch.tensor([first.n_answer_tokens, first.n_documents], device=accelerator.device)
    # Averaged gradients are 1/n of the sum, so that a mean over everything needs counts of 1/n.
    n_answer_tokens, n_documents = (accelerator.reduce(own, "sum") / accelerator.num_processes).tolist()
    return [dataclasses.replace(b, n_answer_tokens=n_answer_tokens, n_documents=n_documents) for b in batches]
