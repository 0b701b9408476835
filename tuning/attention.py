"""Which attention a model trains with: PyTorch's over rows side by side, or segment attention over packed rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fourfold.errors import ModelError

_HINT = "set tuning.attention to sdpa, or name a Llama, Qwen or SmolLM model"


def require_causal(config: Any, *, n_tokens: int) -> None:
    """Refuse an architecture whose attention is more than causal, before its weights are read.

    What a configuration does not tell (sinks, position biases) segment attention itself refuses in the first pass.

    Args:
        config: transformers' of a causal language model.
        n_tokens: of the longest pass.

    Raises:
        ModelError: a soft-cap, or a window or chunk that is shorter than a pass.
    """
    text = config.get_text_config()
    found = {}
    if cap := getattr(text, "attn_logit_softcapping", None):
        found["attn_logit_softcapping"] = cap
    kinds = getattr(text, "layer_types", None) or ("sliding_attention", "chunked_attention")
    for name, kind in (("sliding_window", "sliding_attention"), ("attention_chunk_size", "chunked_attention")):
        length = getattr(text, name, None)
        if length is not None and length < n_tokens and kind in kinds:
            found[name] = length
    if found:
        raise ModelError(
            "this model cannot be tuned with segment attention",
            seen=f"{text.model_type}: " + ", ".join(f"{name} = {value}" for name, value in found.items()),
            expected=f"causal attention and nothing else over a pass of {n_tokens} tokens",
            hint=_HINT,
        )


def use_segment_attention(model: Any) -> None:
    """Let a transformers causal language model attend by the table of each pass, as `shared_loss` hands it over.

    Raises:
        ModelError: its attention cannot be chosen by name; transformers would keep its own with no more than a warning.
    """
    from fourfold.kernels import registration

    registration.register()
    model.set_attn_implementation(registration.NAME)
    if model.config.get_text_config()._attn_implementation != registration.NAME:  # noqa: SLF001
        raise refusal(f"{type(model).__name__} does not take its attention from transformers' AttentionInterface")


@contextmanager
def plain_attention(model: Any) -> Iterator[None]:
    """PyTorch's attention for passes over rows side by side, whatever the model trains with."""
    from fourfold.kernels import registration

    name = model.config._attn_implementation  # noqa: SLF001
    if name != registration.NAME:
        yield
        return
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(name)


def refusal(seen: str) -> ModelError:
    """The error of a model or call that segment attention cannot honour."""
    return ModelError(
        "this model cannot be tuned with segment attention",
        seen=seen,
        expected="causal attention and nothing else: no soft-cap, sliding window, sinks or position bias",
        hint=_HINT,
    )
