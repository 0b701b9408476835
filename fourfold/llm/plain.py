"""The way of transformers itself: padded batches through `generate`, one forward pass per text to score.

For models whose attention `attention.why_not` refuses, and the reference that tests hold the ragged way against.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fourfold.llm.decode import Written, until_end
from fourfold.llm.prefix import TokenIds

if TYPE_CHECKING:
    import torch


def generate(
    model: Any, rows: Sequence[TokenIds], *, max_tokens: int, end_ids: frozenset[int], tokenizer: Any
) -> list[Written]:
    """Go on from each row greedily; see `decode.decode`.

    Args:
        model: any causal language model of transformers.
        rows: token ids of each prompt.
        max_tokens: at least 1.
        end_ids: tokens that end an answer; they are part of it.
        tokenizer: pads on the left.
    """
    import torch

    padded = tokenizer.pad({"input_ids": [list(ids) for ids in rows]}, return_tensors="pt").to(model.device)
    width = padded["input_ids"].shape[1]
    steps: list[torch.Tensor] = []

    def note(_written: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        # Kept as one number a row: the logits of a whole batch would be gigabytes.
        wide = logits.float()
        steps.append(wide.amax(dim=1) - wide.logsumexp(dim=1))
        return logits

    with torch.inference_mode():
        sequences = model.generate(
            **padded,
            max_new_tokens=max_tokens,
            do_sample=False,
            logits_processor=[note],
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=sorted(end_ids),
        )
    logprobs = torch.stack(steps, dim=1).tolist()
    return [
        until_end(Written(token_ids=ids, logprobs=row), end_ids)
        for ids, row in zip(sequences[:, width:].tolist(), logprobs, strict=True)
    ]


def score(model: Any, rows: Sequence[TokenIds], continuations: Sequence[Sequence[TokenIds]]) -> list[list[list[float]]]:
    """Log-probabilities of each row's own continuations; see `score.score`."""
    return [
        [_logprobs(model, row, ids) if ids else [] for ids in of_row]
        for row, of_row in zip(rows, continuations, strict=True)
    ]


def _logprobs(model: Any, row: TokenIds, ids: TokenIds) -> list[float]:
    import torch

    tokens = torch.tensor([row + ids], device=model.device)
    with torch.inference_mode():
        # Of all places: not every model can leave some out.
        wide = model(input_ids=tokens, use_cache=False).logits[0, len(row) - 1 : -1].float()
    chosen = wide.gather(1, tokens[0, len(row) :, None])[:, 0]
    found: list[float] = (chosen - wide.logsumexp(dim=1)).tolist()
    return found
