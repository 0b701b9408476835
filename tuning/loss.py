"""The answer loss: only the positions that predict an answer token go through the output head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fourfold.errors import ModelError

if TYPE_CHECKING:
    import torch

IGNORED = -100
# Positions whose logits are held at once where documents' tokens are scored: 100 MB of float32 for 49,152 tokens.
_HEAD_POSITIONS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class PassLoss:
    """What a forward pass gives.

    Attributes:
        answer_nll: fp32 scalar; summed negative log-likelihood of the answer tokens, nats.
        document_logprobs: fp32 [D]; mean natural log-probability of the tokens of each span that was asked for.
    """

    answer_nll: torch.Tensor
    document_logprobs: torch.Tensor


def answer_loss(model: Any, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Summed negative log-likelihood (nats, fp32 scalar) of the labelled tokens.

    Rows are padded on the right and no mask is passed: under causal attention a real token never sees the padding
    after it, and attention without a mask does not materialise its probabilities for the backward pass.

    Args:
        model: a transformers causal language model with its own decoder and output head.
        input_ids: int64 [B, T].
        labels: int64 [B, T]; `labels[b, t]` is `input_ids[b, t]` for answer tokens and -100 elsewhere. A label at
            t is predicted from the hidden state at t − 1.
    """
    return answer_nll(model, hidden_states(model, input_ids), labels)


def hidden_states(model: Any, input_ids: torch.Tensor) -> torch.Tensor:
    """What goes into the output head, [B, T, D] for int64 [B, T] without a mask; see `answer_loss`."""
    hidden: torch.Tensor = model.get_decoder()(input_ids=input_ids, use_cache=False).last_hidden_state
    return hidden


def answer_nll(model: Any, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Summed negative log-likelihood (nats, fp32 scalar) of the labelled tokens, from hidden states [B, T, D]."""
    from torch.nn import functional

    rows, positions = (labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
    logits = model.get_output_embeddings()(hidden[rows, positions])
    return functional.cross_entropy(logits.float(), labels[rows, positions + 1], reduction="sum")


def document_logprobs(
    model: Any, hidden: torch.Tensor, input_ids: torch.Tensor, spans: Sequence[tuple[int, int, int]]
) -> torch.Tensor:
    """Mean natural log-probability of each document's tokens, fp32 [number of spans].

    Logits are made for some hundred positions at a time, and once more for the backward pass, so that their memory
    does not grow with the documents.

    Args:
        model: as for `answer_loss`.
        hidden: [B, T, D].
        input_ids: int64 [B, T].
        spans: (row, start, end) of each document, 0 < start < end ≤ T; a token at t is predicted from t − 1.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    head = model.get_output_embeddings()

    def nll(states: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(head(states).float(), tokens, reduction="none")

    lengths = [end - start for _, start, end in spans]
    states = torch.cat([hidden[row, start - 1 : end - 1] for row, start, end in spans])
    tokens = torch.cat([input_ids[row, start:end] for row, start, end in spans])
    parts = [
        checkpoint(nll, some, wanted, use_reentrant=False)
        for some, wanted in zip(torch.split(states, _HEAD_POSITIONS), torch.split(tokens, _HEAD_POSITIONS), strict=True)
    ]
    return torch.stack([-document.mean() for document in torch.split(torch.cat(parts), lengths)])


def require_plain_head(config: Any) -> None:
    """Refuse models that change their logits after the output head, which `answer_loss` would leave out.

    Raises:
        ModelError: such a model.
    """
    for name, neutral in (("final_logit_softcapping", None), ("logits_scaling", 1.0), ("logit_scale", 1.0)):
        value = getattr(config, name, neutral)
        if value not in (neutral, None):
            raise ModelError(
                "this model cannot be tuned yet",
                seen=f"{config.model_type}: {name} = {value}",
                expected="a model whose logits are its output head's",
                hint="name a Llama, Mistral, Qwen or SmolLM model, or run without the tuned arms (answer.arms)",
            )
