"""What `fourfold models` prints: lines for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence

from fourfold.app.memory import Machine
from fourfold.app.models import Listed


def models_as_json(machine: Machine, models: Sequence[Listed]) -> str:
    """The same as `render_models`, every figure in bytes."""
    held = {"machine": dataclasses.asdict(machine), "models": [dataclasses.asdict(row) for row in models]}
    return json.dumps(held, indent=2, ensure_ascii=False) + "\n"


def render_models(machine: Machine, models: Sequence[Listed]) -> str:
    """A paragraph for the machine and one for each model."""
    memory = f"{_gb(machine.available_bytes)} available of {_gb(machine.total_bytes)}"
    paragraphs = [f"memory ({machine.device}): {memory}", *("\n".join(_lines(row)) for row in models)]
    return "\n\n".join(paragraphs) + "\n"


def _lines(row: Listed) -> Iterator[str]:
    yield f"{row.source}: {row.id} ({row.role})"
    if row.where is not None:
        yield f"  where:      {row.where}"
    if row.n_parameters is not None:
        yield f"  size:       {row.n_parameters / 1e6:,.1f} million parameters, {_gb(row.file_bytes)} on disk"
    if row.need is not None:
        # Rounding to NF4 keeps the size: the rounded values stay dequantised.
        yield f"  weights:    {_gb(row.need.weights)} in memory, rounded to NF4 or not"
        yield f"  answering:  {_gb(row.need.answering)}{_fits(row.fits_answering)}"
        yield f"  tuning:     {_gb(row.need.tuning)}{_fits(row.fits_tuning)}"
    if row.note is not None:
        yield f"  note:       {row.note}"
    if row.refused is not None:
        yield f"  not usable: {row.refused}"


def _gb(n_bytes: int | None) -> str:
    return "not known" if n_bytes is None else f"{n_bytes / 1e9:.2f} GB"


def _fits(fits: bool | None) -> str:
    return "" if fits is None else ", fits" if fits else ", does not fit"
