"""Settings: what a question retrieves."""

from __future__ import annotations

from pydantic import Field

from fourfold.study.settings import Settings


class RetrievalSettings(Settings):
    """What a question retrieves."""

    k: int = Field(3, ge=1, description="chunks given to the model")
    candidates: int = Field(20, ge=1, description="chunks each search contributes before fusion")
    rrf_constant: int = Field(60, ge=1, description="k of reciprocal-rank fusion, 1 / (k + rank)")
