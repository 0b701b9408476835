"""Does the adapter stay itself? Merged into the weights, and reloaded on a 4-bit base, it should answer alike.

An adapter tuned on rounded weights and merged into others, or a base that a server rounds anew, gives another model
than the one that was measured. Each is shown what the adapter as used answered, so that one other token does not make
all later ones differ: the tokens that it would have written at each place, and its logits, are compared there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fourfold.errors import ModelError
from fourfold.llm.adapters import Adapters
from fourfold.llm.load import load_base
from fourfold.llm.port import Adapter
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.weights import Weights
from fourfold.study import ModelSettings
from fourfold.tuning.export.merge import merged_model, with_peft

if TYPE_CHECKING:
    import torch

Variant = Literal["merged", "4-bit reload"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A prompt with what the adapter as used answered to it, in tokens, at least one each."""

    prompt_id: str
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One prompt, one variant against the adapter as used.

    `identical` is the share of the answer's places, in [0, 1], at which both would write the same token; `gap` the
    largest difference of a logit over these places and the vocabulary, natural units, from 0 up. Both are None exactly
    where `reason` says why the variant cannot run.
    """

    prompt_id: str
    variant: Variant
    identical: float | None
    gap: float | None
    reason: str | None = None


def check_agreement(
    answered: Sequence[Answered], weights: Weights, settings: ModelSettings, adapter: Adapter, *, device: str
) -> list[Agreement]:
    """Compare both variants, a prompt each a row; the 4-bit reload only where the base was rounded to NF4.

    Models are loaded one after another; of the first the logits are kept, 4 bytes × vocabulary an answer token.

    Raises:
        ModelError: the base or the adapter cannot be loaded.
    """
    used = _used_logits(answered, weights, settings, adapter, device)
    variants: list[Variant] = ["merged", "4-bit reload"] if settings.quantisation == "nf4" else ["merged"]
    rows = []
    for variant in variants:
        load = merged_model if variant == "merged" else reload_in_4_bit
        other = load(weights, settings, adapter, device=device)
        try:
            rows += [
                compare_logits(logits, answer_logits(other, one), one.prompt_id, variant)
                for logits, one in zip(used, answered, strict=True)
            ]
        except RuntimeError as error:
            # bitsandbytes' kernel for CPUs takes layers of whole blocks of 64 only, and says so when it first runs.
            rows += _not_run(answered, variant, error)
        del other
    return rows


def _not_run(answered: Sequence[Answered], variant: Variant, error: RuntimeError) -> list[Agreement]:
    reason = f"cannot run: {' '.join(str(error).split())[:200]}"
    return [
        Agreement(prompt_id=one.prompt_id, variant=variant, identical=None, gap=None, reason=reason) for one in answered
    ]


def reload_in_4_bit(weights: Weights, settings: ModelSettings, adapter: Adapter, *, device: str) -> Any:
    """The adapter beside a base that bitsandbytes holds in 4 bits, as QLoRA adapters are served.

    Raises:
        ModelError: the base cannot be loaded so, or the adapter is none of it.
    """
    import torch

    with quiet_transformers():
        from transformers import AutoModelForCausalLM, BitsAndBytesConfig

        dtype = getattr(torch, settings.dtype)
        rounding = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        try:
            base = AutoModelForCausalLM.from_pretrained(
                weights.folder,
                dtype=dtype,
                quantization_config=rounding,
                device_map={"": device},
                use_safetensors=True,
                local_files_only=True,
            )
        except (ValueError, OSError, RuntimeError, ImportError) as error:
            raise ModelError(
                "the base cannot be loaded in 4 bits",
                seen=f"{weights.name}: {' '.join(str(error).split())[:300]}",
                expected="a model that bitsandbytes can hold",
                hint="set checks.enabled to false, or model.quantisation to none",
            ) from error
    return with_peft(base, weights, adapter)


def answer_logits(model: Any, answered: Answered) -> torch.Tensor:
    """Logits before each of the answer's tokens, float32 [n, V] on the CPU, prompt and answer given."""
    import torch

    ids = torch.tensor([answered.prompt_ids + answered.answer_ids], device=model.device)
    start = len(answered.prompt_ids) - 1
    with torch.inference_mode():
        logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits[0, start:-1]
    return logits.float().cpu()


def compare_logits(used: torch.Tensor, other: torch.Tensor, prompt_id: str, variant: Variant) -> Agreement:
    """One prompt's row from the logits of both, each [n, V]."""
    same = used.argmax(dim=1) == other.argmax(dim=1)
    return Agreement(
        prompt_id=prompt_id,
        variant=variant,
        identical=float(same.float().mean()),
        gap=float((used - other).abs().max()),
    )


def _used_logits(
    answered: Sequence[Answered], weights: Weights, settings: ModelSettings, adapter: Adapter, device: str
) -> list[torch.Tensor]:
    """As the engine answers: the adapter in the base's dtype beside its layers."""
    base = load_base(weights, settings, device=device)
    base.requires_grad_(False)
    with Adapters(base, weights.name).active(adapter):
        return [answer_logits(base, one) for one in answered]
