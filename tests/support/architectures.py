"""Tiny random models of every architecture that runs over ragged rows, and of some that must not, in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers

N_VOCABULARY = 97
_SIZES: dict[str, Any] = {
    "vocab_size": N_VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
    # Large: the answers of random models vary, where small weights repeat one token.
    "initializer_range": 0.3,
}


def _config(name: str, **settings: Any) -> Callable[[], Any]:
    return lambda: getattr(transformers, name)(**{**_SIZES, "num_key_value_heads": 2, **settings})


RAGGED = {
    "llama": _config("LlamaConfig"),
    "llama with its own RoPE": _config(
        "LlamaConfig",
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 500.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    ),
    "llama without groups": _config("LlamaConfig", num_key_value_heads=4),
    "smollm2": _config("LlamaConfig", num_attention_heads=9, num_key_value_heads=3, hidden_size=72),
    "mistral": _config("MistralConfig", sliding_window=None, head_dim=12),
    "mistral with a wide window": _config("MistralConfig", sliding_window=1024),
    "qwen2": _config("Qwen2Config"),
    "qwen3": _config("Qwen3Config", head_dim=16),
    "gemma": _config("GemmaConfig", head_dim=16, num_key_value_heads=1),
}
PLAIN = {
    "gemma2": _config("Gemma2Config", head_dim=8, attn_logit_softcapping=5.0, sliding_window=16),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=N_VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=256, initializer_range=0.3,
        bos_token_id=None, eos_token_id=1,
    ),
    "llama with dynamic RoPE": _config(
        "LlamaConfig", rope_parameters={"rope_type": "dynamic", "rope_theta": 500.0, "factor": 2.0}
    ),
    "gpt-oss with sinks": _config("GptOssConfig", num_local_experts=2, num_experts_per_tok=1, head_dim=8),
}  # fmt: skip


def make_model(config: Any, *, seed: int = 0) -> Any:
    """The random model of a configuration, with norms and biases that are not all ones and zeros."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.generation_config = transformers.GenerationConfig(eos_token_id=1, pad_token_id=0)
    return model
