"""The tiny Llama as a GGUF file, as llama.cpp's converter lays one out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fourfold.llm.weights import Weights

_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_tiny_gguf(weights: Weights, path: Path, *, architecture: str = "llama") -> Path:
    """Write a folder that `make_tiny_model` made as a GGUF file of 32-bit floats."""
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((weights.folder / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(writer, weights.folder)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for name, values in load_file(weights.folder / "model.safetensors").items():
        known = _gguf_name(name)
        n_heads = heads.get(known.split(".")[-2])
        writer.add_tensor(known, _permuted(values, n_heads) if n_heads else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: Any, folder: Path) -> None:
    held = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = held["model"]["vocab"]
    special = {token["id"] for token in held["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if at in special else 1 for at in range(len(tokens))])
    writer.add_token_merges([" ".join(pair) for pair in held["model"]["merges"]])
    writer.add_eos_token_id(vocabulary["<|im_end|>"])
    writer.add_pad_token_id(vocabulary["<|pad|>"])
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))


def _gguf_name(name: str) -> str:
    plain = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if name in plain:
        return plain[name]
    _, _, layer, *middle, last = name.split(".")
    return f"blk.{layer}.{_NAMES['.'.join(middle)]}.{last}"


def _permuted(values: Any, n_heads: int) -> Any:
    """llama.cpp rotates neighbouring rows where transformers rotates halves."""
    shape = (n_heads, 2, values.shape[0] // n_heads // 2, *values.shape[1:])
    return np.ascontiguousarray(values.reshape(shape).swapaxes(1, 2).reshape(values.shape))
