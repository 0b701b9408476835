"""Attention over ragged rows, as a function that transformers models call by name.

Tokens of many rows stand one after another in a batch of one: no padding, no mask over other rows, one call of every
linear layer for all of them. Who sees whom is told by a plan (`plans.Prefill`, `plans.Decode`), which the model
hands through to its attention as a keyword. Nothing of a model is changed but the name of its attention, and that
only while `ragged_attention` is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

NAME = "fourfold_ragged"
# Those whose answers the tests hold against transformers' own, token by token.
MODEL_TYPES = frozenset({"gemma", "llama", "mistral", "qwen2", "qwen3"})
# The others scale with the longest sequence of a pass, and ours are not generate's passes.
ROPE_TYPES = frozenset({"default", "linear", "llama3", "yarn"})


class Plan(Protocol):
    """Who sees whom in one pass; `longest` is the longest sequence in it, tokens."""

    longest: int

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        """The attention's output.

        Args:
            layer: number of the layer.
            query: [Hq, N, D], N tokens of all rows.
            key: [Hk, N, D], Hq a multiple of Hk.
            value: [Hk, N, D].
            scaling: of the scores.

        Returns:
            [N, Hq, D].
        """


def why_not(config: Any) -> str | None:
    """Why a model's attention cannot run over ragged rows; None where it can.

    Args:
        config: a transformers configuration.
    """
    if config.model_type not in MODEL_TYPES:
        return f"model type {config.model_type} is not among {', '.join(sorted(MODEL_TYPES))}"
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if rope not in ROPE_TYPES:
        return f"rotary embedding {rope} depends on the batch"
    if not getattr(config, "is_causal", True) or getattr(config, "use_bidirectional_attention", False):
        return "its attention is not causal"
    return None


def window_of(config: Any) -> int | None:
    """The longest sequence, tokens, in which a sliding window hides nothing; None where there is no window."""
    if "sliding_attention" not in (getattr(config, "layer_types", None) or ["sliding_attention"]):
        return None
    # Qwen's configurations name a window that `use_sliding_window` turns off.
    window: int | None = (
        getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    )
    return window


@contextmanager
def ragged_attention(model: Any) -> Iterator[None]:
    """While open, `model` (a transformers model) attends by the `plan` of each call and by nothing else."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, _no_mask)
    before = model.config._attn_implementation  # noqa: SLF001 (transformers has no public reader)
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _attend(  # noqa: PLR0913 (what transformers hands to an attention function)
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    plan: Plan,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    refused = [name for name in ("softcap", "s_aux", "position_bias") if others.get(name) is not None]
    assert not refused, f"{NAME} cannot honour {refused}"
    assert attention_mask is None
    assert not dropout
    assert sliding_window is None or plan.longest <= sliding_window
    return plan.attend(module.layer_idx, query[0], key[0], value[0], scaling)[None], None


def _no_mask(*, attention_mask: torch.Tensor | None = None, **_others: Any) -> None:
    """The plan says who sees whom; a mask of padded rows has no place beside it."""
    assert attention_mask is None, f"{NAME} takes no padded rows"
