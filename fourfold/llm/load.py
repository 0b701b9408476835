"""Loads a model and its tokenizer from a folder, and refuses what cannot be used."""

from __future__ import annotations

from typing import Any, Never

from fourfold.errors import ModelError
from fourfold.llm.nf4 import round_to_nf4
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import Weights, ensure_converted
from fourfold.study import ModelSettings


def load_base(weights: Weights, settings: ModelSettings, *, device: str) -> Any:
    """The base model that every arm trains and answers on: resident, rounded to NF4 where the study says so.

    It decodes greedily and plainly: of the generation settings that come with a model only the end tokens are kept,
    so that no repetition penalty or the like stands between two models.

    Raises:
        ModelError: transformers cannot load it, its files lack weights, or nothing of it can be rounded.
    """
    import torch
    from safetensors import SafetensorError

    ensure_converted(weights)
    with quiet_transformers():
        from transformers import AutoModelForCausalLM, GenerationConfig

        try:
            model, found = AutoModelForCausalLM.from_pretrained(
                weights.folder,
                dtype=getattr(torch, settings.dtype),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
        except (ValueError, OSError, RuntimeError, ImportError, SafetensorError) as error:
            _refuse(weights, error, expected="a causal language model that transformers knows, as safetensors")
        if found["missing_keys"]:
            # transformers fills them with random numbers.
            missing = sorted(found["missing_keys"])
            _refuse(
                weights,
                f"{len(missing)} weight(s) are missing, {missing[0]} among them",
                expected="files with every weight that config.json asks for",
            )
        model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
        # Rounded where it will stand: a GPU takes seconds for what takes a CPU minutes.
        model.to(device)
        if settings.quantisation == "nf4" and round_to_nf4(model) == 0:
            raise ModelError(
                "the model cannot be rounded to NF4",
                seen=f"{weights.name}: no torch.nn.Linear beside its output head",
                expected="a model made of linear layers",
                hint="set model.quantisation to none, or name another model",
            )
    return model.eval()


def load_tokenizer(weights: Weights) -> Any:
    """The tokenizer, padding on the left.

    Raises:
        ModelError: it cannot be read, or has no chat template or no end token.
    """
    ensure_converted(weights)
    with quiet_transformers():
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(weights.folder, padding_side="left", local_files_only=True)
        except (ValueError, OSError, LookupError) as error:
            _refuse(weights, error, expected="a tokenizer.json that transformers reads")
    if not tokenizer.chat_template or tokenizer.eos_token_id is None:
        raise ModelError(
            "the model cannot be used for chat",
            seen=f"{weights.name}: no {'end token' if tokenizer.chat_template else 'chat template'}",
            expected="an instruction-tuned model with a chat template and an end token",
            hint="name the '-Instruct' or '-it' form of the model",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_config(weights: Weights) -> Any:
    """The model's configuration as transformers reads it, with the defaults that its file leaves out.

    Raises:
        ModelError: it cannot be read, or is of a kind that transformers does not know.
    """
    ensure_converted(weights)
    with quiet_transformers():
        from transformers import AutoConfig

        try:
            return AutoConfig.from_pretrained(weights.folder, trust_remote_code=False, local_files_only=True)
        except (ValueError, OSError, LookupError) as error:
            _refuse(weights, error, expected="a causal language model that transformers knows")


def _refuse(weights: Weights, error: object, *, expected: str) -> Never:
    raise ModelError(
        "the model cannot be loaded",
        seen=f"{weights.name}: {' '.join(str(error).split())[:300]}",
        expected=expected,
        hint="name another model in the study file",
    ) from (error if isinstance(error, Exception) else None)
