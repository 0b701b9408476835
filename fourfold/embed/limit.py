"""How much text an embedder reads, told by its files: nothing is loaded."""

from __future__ import annotations

import json
from pathlib import Path

from fourfold.llm.weights import Weights


def max_input_tokens(weights: Weights) -> int | None:
    """Tokens of its own tokenizer that a sentence-transformers model reads, special tokens included.

    Follows sentence-transformers: `max_seq_length` of sentence_bert_config.json; without it the smaller of
    `max_position_embeddings` (config.json) and `model_max_length` (tokenizer_config.json).

    Returns:
        The limit; None where the files do not name one.
    """
    # A module of its own folder ("0_Transformer/") is how older models are laid out.
    for folder in (weights.folder, *sorted(weights.folder.glob("0_*"))):
        own = _number(folder / "sentence_bert_config.json", "max_seq_length")
        if own is not None:
            return own
    limits = (
        _number(weights.folder / "config.json", "max_position_embeddings"),
        _number(weights.folder / "tokenizer_config.json", "model_max_length"),
    )
    return min((limit for limit in limits if limit is not None), default=None)


def _number(path: Path, key: str) -> int | None:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Whether the model can be used at all is asked elsewhere.
        return None
    value = held.get(key) if isinstance(held, dict) else None
    return int(value) if isinstance(value, int | float) and value > 0 else None
