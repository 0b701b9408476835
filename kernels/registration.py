"""Segment attention as a function that transformers models call by name, `attn_implementation="segment"`.

Nothing of a model is changed: transformers hands keywords of a model's forward through to its attention, and with them
the row's table:

    register()
    model = AutoModelForCausalLM.from_pretrained(..., attn_implementation="segment")
    model(input_ids=row[None], position_ids=table.position_ids[None], use_cache=False, segment_table=table)

What the kernel cannot honour is refused where it is met, never left out: padded rows, masks, caches, sliding windows
that would hide something, soft-cap, sinks, position biases, dropout. A function for masks is registered too: a name
that transformers' mask interface does not know gets no mask, and padding would then be seen without a word.
"""

from __future__ import annotations

from typing import Any

import torch

from fourfold.kernels.segment_attention import SegmentTable, segment_attention

NAME = "segment"
# Keywords of a model's forward that reach its attention and change nothing there.
_WITHOUT_EFFECT = frozenset({"position_ids", "use_cache", "output_hidden_states", "num_items_in_batch", "return_dict"})


def register() -> None:
    """Make `segment` known to transformers; again changes nothing."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, refuse_mask)


def attend(  # noqa: PLR0913 (what transformers hands to an attention function)
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    segment_table: SegmentTable | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """One layer's attention over a row, by the Triton kernels on a GPU and by PyTorch's fused attention on the CPU.

    Args:
        module: the attention layer.
        query: [1, Hq, T, D].
        key: [1, Hk, T, D].
        value: [1, Hk, T, D].
        attention_mask: None.
        scaling: of the scores.
        segment_table: the row's table, on query's device; required.
        dropout: 0.
        sliding_window: None, or as long as the row at least: it hides nothing then.
        is_causal: not False.
        others: keywords without effect here, or None.

    Returns:
        [1, T, Hq, D], and no weights.

    Raises:
        ValueError: what is asked for is not part of segment attention; names it.
    """
    if segment_table is None:
        raise ValueError("segment_table is missing: hand the row's SegmentTable to the model's forward by this name")
    if attention_mask is not None:
        raise ValueError(
            f"attention_mask of shape {tuple(attention_mask.shape)} is given: must be None, the table rules"
        )
    if query.shape[0] != 1:
        raise ValueError(f"the batch has {query.shape[0]} rows: must be 1, as a table describes one row")
    if dropout:
        raise ValueError(f"attention dropout = {dropout}: must be 0")
    if sliding_window is not None and sliding_window < query.shape[2]:
        raise ValueError(
            f"sliding_window = {sliding_window}: must be none, or the row's {query.shape[2]} tokens at least"
        )
    if is_causal is False or not getattr(module, "is_causal", True):
        raise ValueError("is_causal = False: segment attention is causal")
    refused = {
        name: x for name, x in others.items() if x is not None and x is not False and name not in _WITHOUT_EFFECT
    }
    if refused:
        raise ValueError(
            f"{', '.join(sorted(refused))}: segment attention has no such thing (model or call unsupported)"
        )
    out = segment_attention(
        query[0], key[0], value[0], segment_table, scale=scaling, impl="triton" if query.is_cuda else "cpu"
    )
    return out.transpose(0, 1)[None], None


def refuse_mask(  # noqa: PLR0913 (what transformers hands to a mask function)
    *,
    q_length: int,
    kv_length: int,
    mask_function: Any,
    attention_mask: torch.Tensor | None = None,
    local_size: int | None = None,
    use_vmap: bool = False,
    allow_is_causal_skip: bool = True,
    allow_is_bidirectional_skip: bool = False,
    device: torch.device | str = "cpu",
    **_others: Any,
) -> None:
    """None, where a causal row is asked for, which the table cuts further; else an error.

    transformers takes each jump of the position ids for the start of a sequence and asks for a mask that cuts there. A
    shared context's suffixes are such jumps, and the table says truly what they see; so that cut is let pass.

    Raises:
        ValueError: padding, a cache, a window or chunk that hides something, or a mask function that is not causal.
    """
    if attention_mask is not None:
        raise ValueError(
            f"attention_mask of shape {tuple(attention_mask.shape)} is given: must be None, the table rules"
        )
    if q_length != kv_length:
        raise ValueError(f"{kv_length} keys for {q_length} queries: must be equal, segment attention has no cache")
    if local_size is not None and local_size < kv_length:
        raise ValueError(f"a window or chunk of {local_size} tokens: must be none, or the row's {kv_length} at least")
    if allow_is_bidirectional_skip:
        raise ValueError("is_causal = False: segment attention is causal")
    if use_vmap:
        raise ValueError("the model adds a mask function of its own: segment attention is causal and nothing else")
    # A plain causal mask may be skipped; of any other, only one that lets some token see the next is told from a cut.
    if not allow_is_causal_skip and kv_length > 1 and _sees_ahead(mask_function, kv_length, device):
        raise ValueError("the model's mask lets a token see a later one: segment attention is causal and nothing else")


def _sees_ahead(mask_function: Any, n_tokens: int, device: torch.device | str) -> bool:
    queries = torch.arange(n_tokens - 1, device=device)
    first = queries.new_zeros(())
    return bool(mask_function(first, first, queries, queries + 1).any())
