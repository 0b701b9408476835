"""How large a model is, told by its files: no weights are loaded."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fourfold.errors import ModelError
from fourfold.llm.gguf_header import read_gguf_header

# The format's own limit.
_MOST_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Parameters (tied weights once), and what of the architecture decides memory; None where the files do not say."""

    n_parameters: int
    n_layers: int | None = None
    n_kv_heads: int | None = None
    head_size: int | None = None
    width: int | None = None

    def kv_bytes(self, n_tokens: int, *, bytes_each: int) -> int | None:
        """Keys and values of so many tokens: 2 × layers × key-value heads × head size × bytes a number."""
        if self.n_layers is None or self.n_kv_heads is None or self.head_size is None:
            return None
        return 2 * self.n_layers * self.n_kv_heads * self.head_size * bytes_each * n_tokens


def read_folder_shape(folder: Path) -> Shape:
    """Of a Hugging Face folder: the tensors' shapes from the safetensors headers, the rest from config.json.

    Raises:
        ModelError: a file cannot be read.
    """
    n_parameters = sum(_count(file) for file in sorted(folder.glob("*.safetensors")))
    config = _config(folder)
    heads = _number(config, "num_attention_heads", "n_head")
    width = _number(config, "hidden_size", "n_embd")
    return Shape(
        n_parameters=n_parameters,
        n_layers=_number(config, "num_hidden_layers", "n_layer"),
        n_kv_heads=_number(config, "num_key_value_heads") or heads,
        head_size=_number(config, "head_dim") or (width // heads if width and heads else None),
        width=width,
    )


def read_gguf_shape(file: Path) -> Shape:
    """Of a GGUF file.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        header = read_gguf_header(file)
    except (ValueError, OSError) as error:
        raise _unreadable(file, error) from error
    architecture = f"{header.values.get('general.architecture')}."
    known = {name.removeprefix(architecture): value for name, value in header.values.items()}
    heads, width = _number(known, "attention.head_count"), _number(known, "embedding_length")
    return Shape(
        n_parameters=header.n_numbers,
        n_layers=_number(known, "block_count"),
        n_kv_heads=_number(known, "attention.head_count_kv") or heads,
        head_size=_number(known, "attention.key_length") or (width // heads if width and heads else None),
        width=width,
    )


def _count(file: Path) -> int:
    """Numbers in a safetensors file: 8 bytes of length, then a JSON header with every tensor's shape."""
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            # A file of another kind gives any number here; what is read of it is no JSON.
            header = json.loads(opened.read(min(length, _MOST_HEADER_BYTES)))
        return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    except (OSError, ValueError, TypeError, LookupError, AttributeError, struct.error) as error:
        raise _unreadable(file, error) from error


def _config(folder: Path) -> Mapping[str, object]:
    try:
        held = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(held, dict):
        return {}
    # Models that also read pictures nest their text settings.
    nested = held.get("text_config")
    return {**held, **nested} if isinstance(nested, dict) else held


def _number(held: Mapping[str, object], *names: str) -> int | None:
    values = (held.get(name) for name in names)
    return next((value for value in values if isinstance(value, int) and value > 0), None)


def _unreadable(file: Path, error: Exception) -> ModelError:
    return ModelError(
        "the model's file cannot be read",
        seen=f"{file}: {' '.join(str(error).split())[:200]}",
        expected="a whole safetensors or GGUF file",
        hint="fetch it again, or name another model",
    )
