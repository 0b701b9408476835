"""A GGUF file as a Hugging Face folder of bf16 safetensors."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from fourfold.errors import ModelError
from fourfold.llm.quiet import quiet_transformers


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Dequantise a GGUF file to bf16 and save weights, tokenizer and chat template.

    Raises:
        ModelError: an architecture that transformers cannot read from GGUF.
    """
    import torch

    # The conversion's progress bar cannot be switched off: it is written to nowhere.
    with quiet_transformers(), contextlib.redirect_stderr(io.StringIO()):
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        try:
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            model = AutoModelForCausalLM.from_pretrained(
                gguf.parent,
                gguf_file=gguf.name,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
            )
        except ValueError as error:
            raise ModelError(
                "the GGUF file cannot be read",
                seen=f"{gguf.name}: {error}",
                expected="an architecture that transformers reads from GGUF (Llama, Qwen2, Mistral, Gemma …)",
                hint="name the model's Hugging Face id or folder instead",
            ) from error
        # The loaded model still says it is GGUF-quantised, which save_pretrained refuses; its weights no longer are.
        model.config.__dict__.pop("quantization_config", None)
        model.hf_quantizer = None
        model.is_quantized = False
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
