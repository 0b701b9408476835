"""Settings: checks of the tuned adapter."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from fourfold.study.settings import Settings


class CheckSettings(Settings):
    """Checks of the first seed's adapter, after answering: is it the model that was measured, and what did it cost?"""

    enabled: bool = Field(False, description="carry the checks out; needs an arm with an adapter")
    n_prompts: int = Field(
        16, ge=1, description="test prompts on which the adapter, its merged weights and a 4-bit reload are compared"
    )
    min_identical: float = Field(
        0.95, ge=0, le=1, description="least share of greedy tokens that merged weights and reload have in common with "
        "the adapter as used"
    )  # fmt: skip
    # Measured on SmolLM2-135M-Instruct in bfloat16, rounded to NF4, with an adapter that has learnt 16 facts by heart:
    # merged 1.0 to 1.3, reloaded .8 to 1.1, merged into unrounded weights 12.6 to 15.8 (2026-11-25).
    max_logit_gap: float = Field(
        2.0, gt=0, description="largest difference of a logit between them that is accepted, natural units"
    )
    n_questions: int = Field(
        40, ge=1, description="tuning questions, and as many unseen ones, asked for memorisation and context reliance"
    )
    text: Path | None = Field(
        None, description="UTF-8 text file that perplexity is measured on; null: the PDFs of tuning.control, if there"
    )
    counterfactual: Path | None = Field(
        None, description="file in the form of RGB's en_fact.json, asked beside the edited passages; null: none"
    )
    corpus_v2: Path | None = Field(
        None,
        description="folder of the documents as they are after tuning: who still gives the old answers; null: none",
    )
