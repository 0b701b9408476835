"""Settings: how adapters are tuned."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from fourfold.study.settings import Settings


class TuningSettings(Settings):
    """QLoRA on the declared mixture of both prompt forms."""

    rank: int = Field(16, ge=1, description="rank of the low-rank update")
    alpha: int = Field(32, ge=1, description="scale: the update is multiplied by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the low-rank update")
    learning_rate: float = Field(4e-4, gt=0, lt=1, description="peak rate of AdamW, cosine decay to 0")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of the steps spent warming up")
    epochs: int = Field(1, ge=1, description="passes over the tuning rows")
    batch_rows: int = Field(8, ge=1, description="rows an optimiser step sees")
    micro_batch_rows: int = Field(2, ge=1, description="rows one forward pass sees; must divide batch_rows")
    with_context_share: float = Field(
        0.5, ge=0, le=1, description="share of tuning rows in the with-contexts form; 0.5: each pair once in each form"
    )
    checkpoint_steps: int = Field(5, ge=1, description="optimiser steps between checkpoints")
    seeds: tuple[int, ...] = Field(
        (0,),
        min_length=1,
        description="one adapter for each: initial weights and order of rows; 3 or more for a verdict",
    )
    control: Path | None = Field(
        None,
        description="folder of PDFs of another subject: an adapter tuned on it shows what answer style alone gains",
    )
    single_forms: bool = Field(
        False, description="also tune one adapter on each prompt form alone and show what the mixture costs"
    )

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value) or min(value) < 0:
            raise ValueError("must be different numbers from 0 up")
        return value

    @field_validator("with_context_share")
    @classmethod
    def _one_of_three(cls, value: float) -> float:
        if value not in {0.0, 0.5, 1.0}:
            raise ValueError("must be 0 (closed book only), 0.5 (the mixture) or 1 (with contexts only)")
        return value
