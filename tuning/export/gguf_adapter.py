"""A LoRA adapter as a GGUF file, which llama.cpp loads beside its base (`--lora`).

Source: the GGUF specification of ggml, version 3, and the names that llama.cpp's adapter loader asks for: a tensor
`NAME.lora_a` [r, in] and `NAME.lora_b` [out, r] for each weight NAME of the base, the update scaled by
adapter.lora.alpha / r.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.errors import ModelError
from fourfold.llm.load import load_config
from fourfold.llm.low_rank import is_plain
from fourfold.llm.port import Adapter
from fourfold.llm.weights import Weights

_PREFIX = "base_model.model."
_HALVES = {"lora_A": "lora_a", "lora_B": "lora_b"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Architecture:
    """As llama.cpp names it; `rotates_neighbours`: its q and k have their rows in another order than transformers'."""

    name: str
    rotates_neighbours: bool


# By transformers' model_type.
_ARCHITECTURES: Mapping[str, _Architecture] = {
    "llama": _Architecture(name="llama", rotates_neighbours=True),
    "mistral": _Architecture(name="llama", rotates_neighbours=True),
    "qwen2": _Architecture(name="qwen2", rotates_neighbours=False),
    "qwen3": _Architecture(name="qwen3", rotates_neighbours=False),
}


def write_gguf_adapter(path: Path, weights: Weights, adapter: Adapter) -> int:
    """Write the adapter's matrices as 32-bit floats.

    It belongs to the base *as it was tuned on*: beside a GGUF file that is rounded otherwise it is another model.

    Args:
        path: the file to write.
        weights: of the base, whose configuration names layers and heads.
        adapter: LoRA or rank-stabilised LoRA.

    Returns:
        The number of tensors.

    Raises:
        ModelError: an adapter of another kind, or a base that llama.cpp calls otherwise.
    """
    import gguf
    from safetensors.numpy import load_file

    config, alpha = load_config(weights), _alpha_of(adapter)
    architecture = _architecture_of(config, weights)
    kind = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture.name)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    writer = gguf.GGUFWriter(path, architecture.name)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    matrices = load_file(adapter.folder / "adapter_model.safetensors")
    for key in sorted(matrices):
        layer, half = _split(key)
        name = names.get_name(layer)
        if name is None:
            raise _other(adapter, f"{layer} has no name in llama.cpp's {architecture.name}")
        matrix = matrices[key].astype("float32")
        n_heads = heads.get(name.split(".")[-1])
        if half == "lora_B" and n_heads is not None and architecture.rotates_neighbours:
            matrix = _neighbours(matrix, n_heads)
        writer.add_tensor(f"{name}.weight.{_HALVES[half]}", matrix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return len(matrices)


def _alpha_of(adapter: Adapter) -> float:
    """What llama.cpp divides by the rank to get the update's scale."""
    if not is_plain(adapter.folder):
        raise _other(adapter, "dora, full or another kind")
    config = json.loads((adapter.folder / "adapter_config.json").read_text(encoding="utf-8"))
    # rsLoRA's scale is alpha / sqrt(r), and llama.cpp knows one formula.
    scaled = math.sqrt(config["r"]) if config.get("use_rslora") else 1.0
    return float(config["lora_alpha"] * scaled)


def _architecture_of(config: Any, weights: Weights) -> _Architecture:
    found = _ARCHITECTURES.get(config.model_type)
    if found is None:
        raise ModelError(
            "the adapter cannot be written for llama.cpp",
            seen=f"{weights.name} is of type {config.model_type}",
            expected=f"one of {', '.join(_ARCHITECTURES)}",
            hint="export the merged weights, and convert them with llama.cpp's own convert_hf_to_gguf.py",
        )
    return found


def _split(key: str) -> tuple[str, str]:
    """Layer and half of a PEFT tensor's name."""
    layer, _, half = key.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".")
    return layer, half


def _neighbours(matrix: Any, n_heads: int) -> Any:
    """Rows [out, …] from the order in which transformers rotates halves to that in which llama.cpp rotates pairs."""
    import numpy as np

    pairs = matrix.reshape(n_heads, 2, matrix.shape[0] // n_heads // 2, *matrix.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(matrix.shape))


def _other(adapter: Adapter, seen: str) -> ModelError:
    return ModelError(
        "the adapter cannot be written for llama.cpp",
        seen=f"{adapter.folder.name}: {seen}",
        expected="LoRA or rsLoRA on linear layers",
        hint="export the merged weights instead",
    )
