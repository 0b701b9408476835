"""How long a model's vectors are, told by its files: nothing is loaded."""

from __future__ import annotations

import json
from pathlib import Path

from fourfold.llm.weights import Weights


def read_dimension(weights: Weights) -> int | None:
    """Numbers in a vector of a sentence-transformers model.

    Follows its modules (modules.json) to the last that sets a length: `out_features` of a dense layer, else the
    pooling's `embedding_dimension` (older: `word_embedding_dimension`) for each of its modes. Without modules it is
    `hidden_size` of config.json, over which sentence-transformers takes the mean.

    Returns:
        The dimension; None where the files do not name one.
    """
    modules = _read(weights.folder / "modules.json")
    if not isinstance(modules, list):
        return _number(_read(weights.folder / "config.json"), "hidden_size")
    found = None
    for module in modules:
        path = module.get("path") if isinstance(module, dict) else None
        if path:
            held = _read(weights.folder / path / "config.json")
            found = _number(held, "out_features") or _pooled(held) or found
    return found


def _pooled(held: object) -> int | None:
    length = _number(held, "embedding_dimension") or _number(held, "word_embedding_dimension")
    if length is None or not isinstance(held, dict):
        return None
    modes = held.get("pooling_mode")
    if isinstance(modes, list):
        return length * len(modes)
    n_old = sum(value is True for name, value in held.items() if name.startswith("pooling_mode_"))
    return length * max(1, n_old)


def _read(path: Path) -> object:
    try:
        held: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Whether the model can be used at all is asked elsewhere.
        return None
    return held


def _number(held: object, key: str) -> int | None:
    value = held.get(key) if isinstance(held, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
