"""How much memory a model takes here, and how much there is.

All in bytes; W are the weights, 2 bytes a parameter in bf16 and 4 in fp32. Rounding to NF4 changes no size: the rounded
values are kept dequantised.

    answering = W + KV(model.batch_tokens) + 1.6 GB
    tuning    = 2 W + 3.5 GB × max(1, layers × width / (30 × 576))

KV(n) = 2 × layers × key-value heads × head size × bytes a number × n. While tuning the base is held once for answering
and once for training; the 3.5 GB are activations, optimiser and libraries as measured on the quickstart (SmolLM2-135M,
30 layers of width 576, micro-batches of 2 rows of 750 tokens; LOG.md, 2026-11-24), taken to grow with layers × width.
The 1.6 GB are what answering was measured at there (2 GB), less its keys and values.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from fourfold.llm.shape import Shape
from fourfold.study import ModelSettings

_ANSWERING_BYTES = 1_600_000_000
_TUNING_BYTES = 3_500_000_000
_MEASURED_SIZE = 30 * 576
_BYTES = {"bfloat16": 2, "float32": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Bytes on the device that models run on; None where this system does not say."""

    device: str
    available_bytes: int | None
    total_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Bytes a model takes; None where its files do not tell enough."""

    weights: int
    answering: int | None
    tuning: int | None


def need_of(shape: Shape, settings: ModelSettings) -> Need:
    """What the model takes with the study's dtype and batch size; see the module for the formulas."""
    each = _BYTES[settings.dtype]
    weights = each * shape.n_parameters
    kv = shape.kv_bytes(settings.batch_tokens, bytes_each=each)
    size = None if shape.n_layers is None or shape.width is None else shape.n_layers * shape.width
    return Need(
        weights=weights,
        answering=None if kv is None else weights + kv + _ANSWERING_BYTES,
        tuning=None if size is None else 2 * weights + round(_TUNING_BYTES * max(1, size / _MEASURED_SIZE)),
    )


def look_at_machine() -> Machine:
    """The GPU where torch sees one, else main memory."""
    if importlib.util.find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            free, total = torch.cuda.mem_get_info()
            return Machine(device="cuda", available_bytes=free, total_bytes=total)
    return Machine(device="cpu", available_bytes=_meminfo("MemAvailable"), total_bytes=_meminfo("MemTotal"))


def _meminfo(name: str) -> int | None:
    """What Linux says; None elsewhere."""
    file = Path("/proc/meminfo")
    if not file.is_file():
        return None
    for line in file.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    return None
