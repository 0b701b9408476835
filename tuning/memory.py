"""Whether a tuning run fits, told before the base is loaded; what would fit instead where it does not.

In bytes, over what already stands in memory when tuning starts:

    base         each × parameters, of the base as it is trained (each: 2 in bf16, 4 in fp32)
    learnt       16 × trained parameters: weight, gradient and AdamW's two moments, fp32
    activations  micro-batch tokens × each × Σ (in + out) over the trained linear layers, times 1, for dora 2.5
    logits       micro-batch labels × vocabulary × 4 × 3: log-softmax, its gradient, and the product's
    libraries    1 GB

Of these activations autograd keeps .71 (bf16) and .50 (fp32) for LoRA on SmolLM2-135M, 2.08 and 1.87 for DoRA, one row
of 256 tokens, counted by storage (2026-11-25); the rest is what the backward pass makes beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fourfold.errors import ModelError
from fourfold.llm.load import load_config
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings, TuningSettings
from fourfold.study.tuning import Method
from fourfold.tuning.batches import token_budget
from fourfold.tuning.methods import adapted_layers
from fourfold.tuning.rows import TuningRow

_ACTIVATIONS: Mapping[Method, float] = {"lora": 1.0, "qlora": 1.0, "dora": 2.5, "rslora": 1.0, "full": 1.0}
_LIBRARIES = 1_000_000_000
_BYTES = {"bfloat16": 2, "float32": 4}
_LEARNT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What of an architecture decides memory; `linear` is (in, out) of each trained linear layer."""

    n_parameters: int
    linear: tuple[tuple[int, int], ...]
    vocabulary: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Bytes, by what takes them; see the module."""

    base: int
    learnt: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """All together, libraries included."""
        return self.base + self.learnt + self.activations + self.logits + _LIBRARIES


def read_sizes(weights: Weights) -> Sizes:
    """From the model's configuration; no weights are read.

    Raises:
        ModelError: it is of a kind that transformers does not know.
    """
    import torch

    config = load_config(weights)
    with quiet_transformers(), torch.device("meta"):
        from transformers import AutoModelForCausalLM

        model: Any = AutoModelForCausalLM.from_config(config)
    model.tie_weights()
    layers = adapted_layers(model).values()
    return Sizes(
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        linear=tuple((layer.in_features, layer.out_features) for layer in layers),
        vocabulary=model.get_output_embeddings().out_features,
    )


def estimate(sizes: Sizes, rows: Sequence[TuningRow], *, model: ModelSettings, tuning: TuningSettings) -> Estimate:
    """What training takes beside what is resident already."""
    each = _BYTES[model.dtype]
    n_tokens = token_budget(rows, micro_batch_rows=tuning.micro_batch_rows)
    n_labels = tuning.micro_batch_rows * max(len(row.answer_ids) for row in rows)
    widths = sum(width_in + width_out for width_in, width_out in sizes.linear)
    learnt = (
        sum(width_in * width_out for width_in, width_out in sizes.linear)
        if tuning.method == "full"
        else tuning.rank * widths
    )
    return Estimate(
        base=each * sizes.n_parameters,
        learnt=_LEARNT * learnt,
        activations=round(n_tokens * each * _ACTIVATIONS[tuning.method] * widths),
        logits=12 * n_labels * sizes.vocabulary,
    )


def require_memory(
    weights: Weights,
    model: ModelSettings,
    rows: Sequence[TuningRow],
    *,
    tuning: TuningSettings,
    available_bytes: int | None,
) -> None:
    """Refuse a run that does not fit, with the smallest change that would.

    Args:
        weights: of the base.
        model: its dtype.
        rows: training rows.
        tuning: method, rank and batch sizes.
        available_bytes: free now; None: the machine does not say, and nothing is refused.

    Raises:
        ModelError: it does not fit.
    """
    if available_bytes is None:
        return
    sizes = read_sizes(weights)
    needed = estimate(sizes, rows, model=model, tuning=tuning)
    if needed.total <= available_bytes:
        return
    raise ModelError(
        "tuning does not fit into memory",
        seen=f"{available_bytes / 1e9:.1f} GB available",
        expected=f"about {needed.total / 1e9:.1f} GB: base {needed.base / 1e9:.1f}, learnt {needed.learnt / 1e9:.1f}, "
        f"activations and logits {(needed.activations + needed.logits) / 1e9:.1f}",
        hint=_smallest_change(sizes, rows, model, tuning, available_bytes),
    )


def _smallest_change(
    sizes: Sizes, rows: Sequence[TuningRow], model: ModelSettings, tuning: TuningSettings, available_bytes: int
) -> str:
    """The first of these that fits, the one that changes least in front: speed, then method, then precision."""
    smaller = [n for n in range(tuning.micro_batch_rows - 1, 0, -1) if tuning.batch_rows % n == 0]
    steps: list[tuple[str, ModelSettings, TuningSettings]] = [
        (f"set tuning.micro_batch_rows to {n}: the same result, slower", model,
         tuning.model_copy(update={"micro_batch_rows": n}))
        for n in smaller
    ]  # fmt: skip
    one = tuning.model_copy(update={"micro_batch_rows": 1})
    low = one.model_copy(update={"method": "lora"}) if tuning.method == "full" else one
    half = model.model_copy(update={"dtype": "bfloat16"})
    if tuning.method == "full":
        steps.append(("set tuning.method to lora and tuning.micro_batch_rows to 1", model, low))
    if model.dtype == "float32":
        steps.append(
            (f"set model.dtype to bfloat16, tuning.method to {low.method} and micro_batch_rows to 1", half, low)
        )
    for hint, with_model, with_tuning in steps:
        if estimate(sizes, rows, model=with_model, tuning=with_tuning).total <= available_bytes:
            return hint
    return "name a smaller model, lower retrieval.k or index.chunk_tokens, or leave out the tuned arms (answer.arms)"
