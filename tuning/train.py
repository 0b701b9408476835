"""QLoRA: a low-rank adapter on the study's NF4-rounded base, trained by transformers' Trainer.

Source: Hu et al. 2021 (LoRA, arXiv 2106.09685, eq. 3) on every linear layer but the output head, over weights
rounded as in Dettmers et al. 2023 (QLoRA). We differ from QLoRA in keeping the dequantised weights resident.

A killed run goes on at its last whole checkpoint and ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.digest import digest_of_file
from fourfold.llm.load import load_base
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings, TuningSettings
from fourfold.tuning.loss import IGNORED, answer_loss, require_plain_head
from fourfold.tuning.rows import TuningRow, order_rows

Progress = Callable[[int, int], None]
_WHOLE = "whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What is tuned: weights, their dtype and quantisation, and 'cpu', 'cuda' or 'cuda:N'."""

    weights: Weights
    settings: ModelSettings
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedAdapter:
    """What training gave. `n_tokens` counts prompt and answer tokens over all epochs, padding not counted."""

    digest: str
    n_rows: int
    n_steps: int
    n_tokens: int
    n_answer_tokens: int
    loss_first: float
    loss_last: float


def train_adapter(
    folder: Path,
    rows: Sequence[TuningRow],
    base: Base,
    *,
    tuning: TuningSettings,
    seed: int,
    progress: Progress,
) -> TrainedAdapter:
    """Train one adapter into `folder` (adapter_model.safetensors, adapter_config.json, training.json).

    Args:
        folder: where the adapter goes; may hold the checkpoints of a killed run, which are used and then removed.
        rows: training rows; order and batches follow from them and from the settings.
        base: the model that every arm answers on.
        tuning: the hyperparameters; its list of seeds is not looked at.
        seed: initial adapter weights and order of rows.
        progress: told (steps done, steps in all).

    Raises:
        ModelError: a base whose loss we do not compute right.
        FloatingPointError: the loss is not finite.
    """
    import torch

    ordered = order_rows(rows, epochs=tuning.epochs, batch_rows=tuning.batch_rows, seed=seed)
    checkpoints = folder / "checkpoints"
    with torch.random.fork_rng(), quiet_transformers():
        torch.manual_seed(seed)
        peft_model = _with_adapter(load_base(base.weights, base.settings, device=base.device), tuning)
        trainer = _trainer(peft_model, ordered, tuning, checkpoints, base=base, seed=seed)
        trainer.add_callback(_callback(progress))
        trainer.train(resume_from_checkpoint=_last_whole(checkpoints))
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        # PEFT notes where the base was loaded from: a path of this machine, of no use to anybody else.
        peft_model.peft_config["default"].base_model_name_or_path = base.weights.name
        # False: "auto" would ask the hub for the base's configuration.
        peft_model.save_pretrained(folder, save_embedding_layers=False)
    trained = TrainedAdapter(
        digest=digest_of_file(folder / "adapter_model.safetensors"),
        n_rows=len(rows),
        n_steps=trainer.state.global_step,
        n_tokens=sum(row.n_tokens for row in ordered),
        n_answer_tokens=sum(len(row.answer_ids) for row in ordered),
        loss_first=losses[0],
        loss_last=losses[-1],
    )
    _write_settings(folder, base, tuning, seed)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return trained


def collate(rows: Sequence[TuningRow], *, pad_id: int) -> dict[str, Any]:
    """Rows padded on the right: `input_ids` and `labels`, int64 [B, T]; only answer tokens are labelled."""
    import torch

    width = max(row.n_tokens for row in rows)
    input_ids = torch.full((len(rows), width), pad_id)
    labels = torch.full((len(rows), width), IGNORED)
    for number, row in enumerate(rows):
        n_prompt = len(row.prompt_ids)
        input_ids[number, : row.n_tokens] = torch.tensor(row.prompt_ids + row.answer_ids)
        labels[number, n_prompt : row.n_tokens] = torch.tensor(row.answer_ids)
    return {"input_ids": input_ids, "labels": labels}


def _with_adapter(base: Any, tuning: TuningSettings) -> Any:
    from peft import LoraConfig, get_peft_model

    require_plain_head(base.config)
    config = LoraConfig(
        r=tuning.rank,
        lora_alpha=tuning.alpha,
        lora_dropout=tuning.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, config)


def _trainer(
    model: Any,
    rows: list[TuningRow],
    tuning: TuningSettings,
    checkpoints: Path,
    *,
    base: Base,
    seed: int,
) -> Any:
    import torch
    from transformers import PrinterCallback, Trainer, TrainingArguments

    device, dtype = base.device, base.settings.dtype

    class AnswerTrainer(Trainer):  # type: ignore[misc]
        """Trains on `answer_loss`, in the order given."""

        def _get_train_sampler(self, train_dataset: object = None) -> object:  # noqa: ARG002
            return torch.utils.data.SequentialSampler(rows)

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, torch.Tensor],
            return_outputs: bool = False,  # noqa: ARG002
            num_items_in_batch: torch.Tensor | None = None,
        ) -> torch.Tensor:
            assert num_items_in_batch is not None
            student = self.accelerator.unwrap_model(model).get_base_model()
            # The adapter's weights are float32; its products are done in the base's dtype.
            with torch.autocast(device.partition(":")[0], dtype=getattr(torch, dtype), enabled=dtype != "float32"):
                loss = answer_loss(student, inputs["input_ids"], inputs["labels"]) / num_items_in_batch
            if not torch.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss.item()} at step {self.state.global_step + 1}")
            return loss

    n_steps = math.ceil(len(rows) / tuning.batch_rows)
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=tuning.micro_batch_rows,
        gradient_accumulation_steps=tuning.batch_rows // tuning.micro_batch_rows,
        num_train_epochs=1,  # `rows` holds every epoch
        learning_rate=tuning.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(tuning.warmup_share * n_steps),
        max_grad_norm=1.0,
        save_strategy="steps",
        save_steps=tuning.checkpoint_steps,
        save_total_limit=2,  # the one being written, and the whole one before it
        logging_strategy="steps",
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        seed=seed,
        use_cpu=device == "cpu",
    )
    pad_id = model.config.pad_token_id or 0
    trainer = AnswerTrainer(
        model=model, args=arguments, train_dataset=rows, data_collator=lambda batch: collate(batch, pad_id=pad_id)
    )
    # It prints each step's loss to stdout, which is for results.
    trainer.remove_callback(PrinterCallback)
    return trainer


def _callback(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Report(TrainerCallback):  # type: ignore[misc]
        """Tells of progress and marks checkpoints that are whole."""

        def on_step_end(self, _args: Any, state: Any, _control: Any, **_: object) -> None:
            progress(state.global_step, state.max_steps)

        def on_save(self, args: Any, state: Any, _control: Any, **_: object) -> None:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _WHOLE).touch()

    return Report()


def _last_whole(checkpoints: Path) -> str | None:
    """The newest checkpoint that was written to its end; the others are removed."""
    found: list[tuple[int, Path]] = []
    for path in checkpoints.glob("checkpoint-*"):
        if (path / _WHOLE).exists():
            found.append((int(path.name.partition("-")[2]), path))
        else:
            shutil.rmtree(path)
    return str(max(found)[1]) if found else None


def _write_settings(folder: Path, base: Base, tuning: TuningSettings, seed: int) -> None:
    settings = {
        "base": {"name": base.weights.name, "digest": base.weights.digest, **base.settings.model_dump(mode="json")},
        "tuning": {**tuning.model_dump(mode="json", exclude={"seeds", "control", "single_forms"}), "seed": seed},
    }
    (folder / "training.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
