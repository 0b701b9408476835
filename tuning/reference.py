"""How likely documents are under a model, and under the untuned one: that is computed once and kept by content."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.digest import digest_of
from fourfold.tuning.attention import plain_attention
from fourfold.tuning.loss import document_logprobs, hidden_states


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Documents in a prompt: its token ids, and the positions [start, end) of each document."""

    prompt_ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]

    @property
    def key(self) -> str:
        """By content: the prompt up to its last document, and where they stand."""
        return digest_of([self.prompt_ids[: self.spans[-1][1]], self.spans])


def mean_logprobs(model: Any, shown: Sequence[Shown]) -> list[tuple[float, ...]]:
    """Mean natural log-probability of each document's tokens in its prompt; the model as it stands, no gradient.

    Args:
        model: a transformers causal language model, its adapter active or not.
        shown: prompts; what follows the last document is not read.
    """
    import torch

    found: list[tuple[float, ...]] = []
    was_training = model.training
    model.eval()
    with torch.no_grad(), plain_attention(model):
        for one in shown:
            ids = torch.tensor([one.prompt_ids[: one.spans[-1][1]]], device=model.device)
            means = document_logprobs(model, hidden_states(model, ids), ids, [(0, *span) for span in one.spans])
            found.append(tuple(means.tolist()))
    model.train(was_training)
    return found


def reference_logprobs(
    peft_model: Any, shown: Sequence[Shown], *, folder: Path, base: str
) -> Mapping[str, tuple[float, ...]]:
    """By `Shown.key`, what the base gives with its adapter disabled: read from `folder` where it was kept there.

    Args:
        peft_model: the model with its adapter, in the autocast of training.
        shown: prompts; equal ones are read once.
        folder: beside the checkpoints, so that a run that goes on after a kill compares with the same numbers.
        base: identity of the base: weights, quantisation, dtype.
    """
    distinct = {one.key: one for one in shown}
    file = folder / f"reference-{digest_of([base, sorted(distinct)])[:16]}.json"
    if file.is_file():
        held = json.loads(file.read_text(encoding="ascii"))
        return {key: tuple(values) for key, values in held.items()}
    with peft_model.disable_adapter():
        means = mean_logprobs(peft_model.get_base_model(), list(distinct.values()))
    found = dict(zip(distinct, means, strict=True))
    scratch = file.with_suffix(".new")
    folder.mkdir(parents=True, exist_ok=True)
    scratch.write_text(json.dumps(found), encoding="ascii")
    scratch.replace(file)
    return found
