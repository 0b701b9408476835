"""What an optimiser step minimises over our own rows: a table. `dpo` is TRL's and stands in `tuning.dpo`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fourfold.study import TuningSettings
from fourfold.tuning.batches import collate, micro_batches
from fourfold.tuning.cit import penalty
from fourfold.tuning.loss import PassLoss, answer_nll, document_logprobs, hidden_states
from fourfold.tuning.reference import Shown
from fourfold.tuning.rows import TuningRow
from fourfold.tuning.shared_rows import SharedBatch, plan_shared, shared_loss

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class PaddedBatch:
    """Rows side by side: `input_ids` and `labels`, int64 [B, T]; `spans` are (row, start, end) of each document."""

    input_ids: torch.Tensor
    labels: torch.Tensor
    spans: tuple[tuple[int, int, int], ...]

    def to(self, device: torch.device | str) -> PaddedBatch:
        """The same on another device."""
        return dataclasses.replace(self, input_ids=self.input_ids.to(device), labels=self.labels.to(device))


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """What one forward pass sees.

    `base` is what the untuned model gave each document whose likelihood counts, fp32, in the order of the pass.
    `n_answer_tokens` and `n_documents` are those of the whole optimiser step, over which its loss is a mean.
    """

    inputs: PaddedBatch | SharedBatch
    base: torch.Tensor
    n_answer_tokens: float
    n_documents: float

    def to(self, device: torch.device | str) -> MicroBatch:
        """The same on another device."""
        return dataclasses.replace(self, inputs=self.inputs.to(device), base=self.base.to(device))


# The share of a step's loss that one micro-batch makes: (transformers model, micro-batch) to an fp32 scalar.
Objective = Callable[[Any, MicroBatch], "torch.Tensor"]
# One optimiser step's rows as micro-batches.
Cutter = Callable[[Sequence[TuningRow]], list[MicroBatch]]
# The untuned model's log-probabilities by `Shown.key`; empty where no document's likelihood counts.
Untuned = Mapping[str, tuple[float, ...]]


def holds_documents(tuning: TuningSettings) -> bool:
    """Whether the objective looks at the likelihood of what prompts show."""
    return tuning.objective == "cit" and tuning.cit_alpha > 0


def objective_of(tuning: TuningSettings) -> Objective:
    """The objective of the study, for those that train on our rows."""

    def objective(model: Any, batch: MicroBatch) -> torch.Tensor:
        inputs = batch.inputs
        found = shared_loss(model, inputs) if isinstance(inputs, SharedBatch) else _padded_loss(model, inputs)
        loss = found.answer_nll / batch.n_answer_tokens
        if len(batch.base):
            held = penalty(found.document_logprobs, batch.base, tuning.cit_form)
            loss = loss + tuning.cit_alpha * held / batch.n_documents
        return loss

    return objective


def cut_padded(rows: Sequence[TuningRow], *, budget: int, pad_id: int, base: Untuned) -> list[MicroBatch]:
    """One optimiser step's rows as micro-batches of rows side by side.

    Args:
        rows: of the step.
        budget: tokens of one forward pass, padding included.
        pad_id: fills rows up.
        base: what the untuned model gives their documents.
    """
    found = []
    for some in micro_batches(sorted(rows, key=lambda row: -row.n_tokens), budget=budget):
        spans = tuple((number, *span) for number, row in enumerate(some) if base for span in row.document_spans)
        found.append(_micro_batch(PaddedBatch(**collate(some, pad_id=pad_id), spans=spans), some, rows, base))
    return found


def cut_shared(rows: Sequence[TuningRow], *, budget: int, n_vocabulary: int, base: Untuned) -> list[MicroBatch]:
    """One optimiser step's rows as micro-batches without padding that hold once what their rows begin alike with.

    Args:
        rows: of the step.
        budget: tokens of one forward pass.
        n_vocabulary: rows of the output head.
        base: what the untuned model gives their documents.
    """
    passes = plan_shared(rows, budget=budget, n_vocabulary=n_vocabulary, documents=bool(base))
    return [_micro_batch(one, [rows[number] for number in one.rows], rows, base) for one in passes]


def shown_in(row: TuningRow) -> Shown:
    """The documents of a row that has some."""
    return Shown(prompt_ids=row.prompt_ids, spans=row.document_spans)


def _micro_batch(
    inputs: PaddedBatch | SharedBatch, held: Sequence[TuningRow], step: Sequence[TuningRow], base: Untuned
) -> MicroBatch:
    import torch

    known = [value for row in held if base and row.document_spans for value in base[shown_in(row).key]]
    return MicroBatch(
        inputs=inputs,
        base=torch.tensor(known, dtype=torch.float32),
        n_answer_tokens=sum(len(row.answer_ids) for row in step),
        n_documents=sum(len(row.document_spans) for row in step),
    )


def _padded_loss(model: Any, batch: PaddedBatch) -> PassLoss:
    hidden = hidden_states(model, batch.input_ids)
    documents = hidden.new_empty(0)
    if batch.spans:
        documents = document_logprobs(model, hidden, batch.input_ids, batch.spans)
    return PassLoss(answer_nll=answer_nll(model, hidden, batch.labels), document_logprobs=documents)
