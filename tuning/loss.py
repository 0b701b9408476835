"""The answer loss: only the positions that predict an answer token go through the output head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fourfold.errors import ModelError

if TYPE_CHECKING:
    import torch

IGNORED = -100


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
    from torch.nn import functional

    hidden = model.get_decoder()(input_ids=input_ids, use_cache=False).last_hidden_state
    rows, positions = (labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
    logits = model.get_output_embeddings()(hidden[rows, positions])
    return functional.cross_entropy(logits.float(), labels[rows, positions + 1], reduction="sum")


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
