"""What is trained: a table of methods, each a configuration of PEFT on every linear layer but the output head.

Sources: LoRA, Hu et al. 2021 (arXiv 2106.09685, eq. 3); QLoRA, Dettmers et al. 2023 (arXiv 2305.14314, eq. 5); DoRA,
Liu et al. 2024 (arXiv 2402.09353, eq. 5); rsLoRA, Kalajdzievski 2023 (arXiv 2312.03732, eq. 4). `lora` and `qlora` are
one update on two bases: the base is rounded to NF4 or not as `model.quantisation` says, for every arm alike, and
`qlora` refuses one that is not. We differ from QLoRA in keeping the dequantised weights resident.

`full` trains a copy of each of those layers; normalisations, embeddings and output head stay as they are. The copies
are kept as an adapter (PEFT's LN tuning, Zhao et al. 2023, arXiv 2312.11420, which copies whichever layers it is
given), so that the base answers from the same memory as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fourfold.errors import ModelError
from fourfold.llm.quiet import quiet_transformers
from fourfold.study import ModelSettings, TuningSettings
from fourfold.study.tuning import Method


def with_adapter(base: Any, tuning: TuningSettings) -> Any:
    """The base with a fresh adapter of the study's method: only the adapter's weights learn.

    Args:
        base: a transformers causal language model; PEFT's layers are put into it.
        tuning: method, rank, alpha and dropout.
    """
    with quiet_transformers():
        from peft import get_peft_model

        return get_peft_model(base, _CONFIGS[tuning.method](base, tuning))


def require_base(tuning: TuningSettings, model: ModelSettings) -> None:
    """Refuse a method whose base it is not.

    Raises:
        ModelError: qlora on a base that is not rounded, or full on one that is rounded or in bfloat16.
    """
    if tuning.method == "qlora" and model.quantisation != "nf4":
        raise ModelError(
            "qlora needs a base that is rounded to NF4",
            seen=f"model.quantisation = {model.quantisation}",
            expected="model.quantisation = nf4",
            hint="set it, or tuning.method to lora: the same update on the base as it is",
        )
    # bfloat16 keeps 8 bits of a weight: a step of 1e-4 of it is lost. Rounded weights would not stay rounded.
    if tuning.method == "full" and (model.quantisation != "none" or model.dtype != "float32"):
        raise ModelError(
            "full tuning needs unrounded weights in float32",
            seen=f"model.quantisation = {model.quantisation}, model.dtype = {model.dtype}",
            expected="model.quantisation = none and model.dtype = float32, for every arm alike",
            hint="set both, or tuning.method to lora",
        )


def adapted_layers(model: Any) -> dict[str, Any]:
    """The linear layers that a method changes, by name: all but the output head.

    Args:
        model: a transformers causal language model; may be on the meta device.
    """
    import torch

    head = model.get_output_embeddings()
    return {
        name: layer for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear) and layer is not head
    }


def _low_rank(**switches: bool) -> Callable[[Any, TuningSettings], Any]:
    def config(_base: Any, tuning: TuningSettings) -> Any:
        from peft import LoraConfig

        return LoraConfig(
            r=tuning.rank,
            lora_alpha=tuning.alpha,
            lora_dropout=tuning.dropout,
            target_modules="all-linear" if tuning.layers == "all" else ["q_proj", "v_proj"],
            task_type="CAUSAL_LM",
            **switches,
        )

    return config


def _full(base: Any, _tuning: TuningSettings) -> Any:
    from peft import LNTuningConfig

    return LNTuningConfig(target_modules=list(adapted_layers(base)), task_type="CAUSAL_LM")


_CONFIGS: Mapping[Method, Callable[[Any, TuningSettings], Any]] = {
    "lora": _low_rank(),
    "qlora": _low_rank(),
    "dora": _low_rank(use_dora=True),
    "rslora": _low_rank(use_rslora=True),
    "full": _full,
}
