"""A small judge, distilled: what it learns with the reference in sight it is taught to say without.

Source: Ye et al. 2024, Self-J (Self-Judge): L = L_T + .3 L_S + 2 KL(P_T || P_S), with T the judge that sees the
reference and S the one that does not, both the same weights. Where we differ: the rating is one token, so each loss is
that of one position; KL is over the ratings, renormalised, which is what the judge's score is read from; no gradient
flows through P_T in it, so that S follows T and not T S; and labels are people's where the paper's are a larger
model's.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fourfold.digest import digest_of, digest_of_file
from fourfold.llm.load import load_base
from fourfold.llm.quiet import quiet_transformers
from fourfold.study import TuningSettings
from fourfold.tuning.checkpoints import claim, last_whole, mark_whole, telling_full_disk
from fourfold.tuning.judge_rows import JudgeRow, JudgeSet, collate
from fourfold.tuning.loss import require_plain_head
from fourfold.tuning.methods import require_base, with_adapter
from fourfold.tuning.train import Base
from fourfold.tuning.trainer import on_one_device, training_arguments

if TYPE_CHECKING:
    import torch

WITHOUT_REFERENCE_WEIGHT = 0.3
KL_WEIGHT = 2.0
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedJudge:
    """What training gave; losses are those of the first and the last optimiser step, per row, in nats."""

    digest: str
    n_rows: int
    n_steps: int
    loss_first: float
    loss_last: float


def train_judge(
    folder: Path,
    data: JudgeSet,
    base: Base,
    *,
    tuning: TuningSettings,
    seed: int,
    progress: Progress,
) -> TrainedJudge:
    """Train one adapter into `folder` (adapter_model.safetensors, adapter_config.json, training.json).

    A killed run goes on at its last whole checkpoint.

    Args:
        folder: where the adapter goes; may hold the checkpoints of a killed run, which are used and then removed.
        data: what is trained on.
        base: the model that judges.
        tuning: method, rate, epochs and batch sizes; the rest is not looked at. `micro_batch_rows` counts rows, each of
            which is two prompts.
        seed: initial adapter weights and order of rows.
        progress: told (steps done, steps in all).

    Raises:
        ModelError: a base whose loss is not computed right here.
        FloatingPointError: the loss is not finite.
        StoreError: the disk is full, or the folder holds another tuning's checkpoints.
    """
    import torch

    require_base(tuning, base.settings)
    ordered = _in_order(data.rows, epochs=tuning.epochs, seed=seed)
    settings = {
        "recipe": "self-judge",
        "base": {"name": base.weights.name, "digest": base.weights.digest, **base.settings.model_dump(mode="json")},
        "tuning": tuning.model_dump(mode="json", exclude={"seeds", "control", "single_forms"}),
        "seed": seed,
    }
    checkpoints = folder / "checkpoints"
    claim(checkpoints, digest_of([settings, data.rating_ids, data.rows]))
    with torch.random.fork_rng(), quiet_transformers(), telling_full_disk(folder):
        torch.manual_seed(seed)
        loaded = load_base(base.weights, base.settings, device=base.device)
        require_plain_head(loaded.config)
        peft_model = with_adapter(loaded, tuning)
        trainer = _trainer(
            peft_model, ordered, data.rating_ids, base, tuning=tuning, place=(checkpoints, seed, progress)
        )
        found = last_whole(checkpoints)
        trainer.train(resume_from_checkpoint=None if found is None else str(found))
        peft_model.peft_config["default"].base_model_name_or_path = base.weights.name
        # False: "auto" would ask the hub for the base's configuration.
        peft_model.save_pretrained(folder, save_embedding_layers=False)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    (folder / "training.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(checkpoints, ignore_errors=True)
    return TrainedJudge(
        digest=digest_of_file(folder / "adapter_model.safetensors"),
        n_rows=len(data.rows),
        n_steps=trainer.state.global_step,
        loss_first=losses[0],
        loss_last=losses[-1],
    )


def judge_loss(
    with_reference: torch.Tensor, without_reference: torch.Tensor, targets: torch.Tensor, ratings: torch.Tensor
) -> torch.Tensor:
    """L_T + .3 L_S + 2 KL(P_T || P_S), mean over rows, nats, a float32 scalar.

    Args:
        with_reference: logits [B, V] at the reply's first place, the reference shown.
        without_reference: the same [B, V], the reference not shown.
        targets: int64 [B], the place of each row's rating in `ratings`.
        ratings: int64 [R], token ids.
    """
    from torch.nn import functional

    seen, unseen = with_reference.float(), without_reference.float()
    tokens = ratings[targets]
    teacher = seen[:, ratings].log_softmax(dim=1).detach()
    student = unseen[:, ratings].log_softmax(dim=1)
    divergence = functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
    own = functional.cross_entropy(seen, tokens) + WITHOUT_REFERENCE_WEIGHT * functional.cross_entropy(unseen, tokens)
    return own + KL_WEIGHT * divergence


def _in_order(rows: Sequence[JudgeRow], *, epochs: int, seed: int) -> list[JudgeRow]:
    """Every epoch written out, each shuffled."""
    shuffler = random.Random(seed)  # noqa: S311 (an order, not a secret)
    return [row for _ in range(epochs) for row in shuffler.sample(list(rows), len(rows))]


def _trainer(
    model: Any,
    rows: list[JudgeRow],
    ratings: Sequence[int],
    base: Base,
    *,
    tuning: TuningSettings,
    place: tuple[Path, int, Progress],
) -> Any:
    import torch
    from transformers import PrinterCallback, Trainer, TrainingArguments

    checkpoints, seed, progress = place
    device, dtype = base.device, base.settings.dtype

    class JudgeTrainer(Trainer):  # type: ignore[misc]
        """Trains on `judge_loss`, in the order given."""

        def _get_train_sampler(self, train_dataset: object = None) -> object:  # noqa: ARG002
            return torch.utils.data.SequentialSampler(rows)

        def floating_point_ops(self, inputs: object) -> int:  # noqa: ARG002
            return 0

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, torch.Tensor],
            return_outputs: bool = False,  # noqa: ARG002
            num_items_in_batch: object = None,  # noqa: ARG002
        ) -> torch.Tensor:
            student = self.accelerator.unwrap_model(model).get_base_model()
            ids, last = inputs["input_ids"], inputs["last"]
            # The adapter's weights are float32; its products are done in the base's dtype.
            with torch.autocast(device.partition(":")[0], dtype=getattr(torch, dtype), enabled=dtype != "float32"):
                # No mask: under causal attention no prompt's last token sees the padding after it.
                hidden = student.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
                logits = student.get_output_embeddings()(hidden[torch.arange(len(ids), device=ids.device), last])
            half = len(ids) // 2
            loss = judge_loss(
                logits[:half], logits[half:], inputs["targets"], torch.tensor(list(ratings), device=ids.device)
            )
            if not torch.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss.item()} at step {self.state.global_step + 1}")
            return loss

    arguments = training_arguments(tuning, checkpoints, n_rows=len(rows), seed=seed, device=device)
    pad_id = model.config.pad_token_id or 0
    trainer = JudgeTrainer(
        model=model,
        args=on_one_device(
            TrainingArguments(
                **arguments,
                per_device_train_batch_size=tuning.micro_batch_rows,
                gradient_accumulation_steps=tuning.batch_rows // tuning.micro_batch_rows,
            )
        ),
        train_dataset=rows,
        data_collator=lambda some: collate(some, pad_id=pad_id),
    )
    # It prints each step's loss to stdout, which is for results.
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_callback(progress))
    return trainer


def _callback(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Report(TrainerCallback):  # type: ignore[misc]
        """Tells of progress and marks checkpoints that are whole."""

        def on_step_end(self, _args: Any, state: Any, _control: Any, **_: object) -> None:
            progress(state.global_step, state.max_steps)

        def on_save(self, args: Any, state: Any, _control: Any, **_: object) -> None:
            mark_whole(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    return Report()
