"""A GGUF file as a Hugging Face folder of bf16 safetensors."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path
from typing import Any

from fourfold.errors import ModelError
from fourfold.llm.quiet import quiet_transformers

# What the readers raise for a file that is cut off or of another kind: it is read by position, not checked.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError, struct.error)


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Dequantise a GGUF file to bf16 and save weights, tokenizer and chat template.

    Raises:
        ModelError: an architecture that transformers cannot read from GGUF, or a file that is not whole.
    """
    import torch

    # The conversion's progress bar cannot be switched off: it is written to nowhere.
    with quiet_transformers(), contextlib.redirect_stderr(io.StringIO()):
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        try:
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            model, found = AutoModelForCausalLM.from_pretrained(
                gguf.parent,
                gguf_file=gguf.name,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
                output_loading_info=True,
            )
        except _UNREADABLE as error:
            raise _unreadable(gguf, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}") from error
        _require_all(gguf, found)
        # The loaded model still says it is GGUF-quantised, which save_pretrained refuses; its weights no longer are.
        model.config.__dict__.pop("quantization_config", None)
        model.hf_quantizer = None
        model.is_quantized = False
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _require_all(gguf: Path, found: dict[str, Any]) -> None:
    # transformers fills what is missing with random numbers.
    if missing := sorted(found["missing_keys"]):
        raise _unreadable(gguf, f"{len(missing)} weight(s) are missing, {missing[0]} among them")


def _unreadable(gguf: Path, seen: str) -> ModelError:
    return ModelError(
        "the GGUF file cannot be read",
        seen=f"{gguf}: {seen}",
        expected="a whole file of an architecture that transformers reads from GGUF (Llama, Qwen2, Mistral, Gemma …)",
        hint="fetch the file again, or name the model's Hugging Face id or folder instead",
    )
