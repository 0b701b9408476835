"""The adapter multiplied into the weights: W + (alpha / r) B A, one plain model.

Source: Hu et al. 2021 (LoRA, arXiv 2106.09685), section 4.1; the product is PEFT's. The base is the one that every arm
answers on: where it was rounded to NF4, the rounded weights are what the update was learnt on and is added to. Merged
into unrounded ones, the adapter would be one that nobody has measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fourfold.errors import ModelError, StoreError
from fourfold.llm.load import load_base, load_tokenizer
from fourfold.llm.port import Adapter
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings


def merged_model(weights: Weights, settings: ModelSettings, adapter: Adapter, *, device: str) -> Any:
    """The base with the adapter in its weights: a transformers model without PEFT's layers, in the base's dtype.

    Raises:
        ModelError: the base cannot be loaded, or the adapter is none of it.
    """
    base = load_base(weights, settings, device=device)
    return with_peft(base, weights, adapter).merge_and_unload().eval()


def with_peft(base: Any, weights: Weights, adapter: Adapter) -> Any:
    """A loaded base in PEFT's own form.

    Raises:
        ModelError: the adapter is none of this base.
    """
    with quiet_transformers():
        from peft import PeftModel

        try:
            return PeftModel.from_pretrained(base, adapter.folder).eval()
        except (ValueError, OSError, RuntimeError, KeyError) as error:
            raise ModelError(
                "the adapter does not fit the base",
                seen=f"{adapter.folder}: {' '.join(str(error).split())[:300]}",
                expected=f"a PEFT adapter of {weights.name}",
                hint="name the study that the adapter was tuned in, with its own settings of the model",
            ) from error


def write_merged(folder: Path, weights: Weights, settings: ModelSettings, adapter: Adapter, *, device: str) -> None:
    """Write the merged model as a Hugging Face folder: safetensors, configuration, tokenizer with its chat template.

    Args:
        folder: made new; its parent exists.
        weights: of the base.
        settings: dtype and quantisation that the adapter was tuned on.
        adapter: of that base.
        device: where the base is rounded and merged.

    Raises:
        ModelError: as `merged_model`.
        StoreError: the folder is there.
    """
    if folder.exists():
        raise StoreError(
            "the exported folder is there already",
            seen=folder,
            expected="a new folder",
            hint="name another with --out, or remove it",
        )
    model = merged_model(weights, settings, adapter, device=device)
    with quiet_transformers():
        model.save_pretrained(folder)
        load_tokenizer(weights).save_pretrained(folder)
