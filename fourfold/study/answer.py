"""Settings: how every arm answers, and how answers are scored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from fourfold.study.settings import Settings
from fourfold.types import ARMS, Arm

DEFAULT_INSTRUCTIONS = "Answer the question in one short sentence. If you do not know the answer, say: I don't know."

ContextsPosition = Literal["before_question", "after_question", "in_system"]
Metric = Literal["exact_match", "token_f1", "containment", "key_fact_recall", "rouge_l", "embedding_similarity"]
METRICS: tuple[Metric, ...] = (
    "exact_match", "token_f1", "containment", "key_fact_recall", "rouge_l", "embedding_similarity",
)  # fmt: skip


class AnswerSettings(Settings):
    """How every arm answers: the same for all."""

    arms: tuple[Arm, ...] = Field(ARMS, min_length=1, description="arms to run")
    instructions: str = Field(DEFAULT_INSTRUCTIONS, min_length=1, description="system prompt of every arm")
    max_tokens: int = Field(48, ge=1, description="tokens an answer may have")
    n_shots: int = Field(3, ge=1, description="examples from the tuning questions in the prompts of the n-shot arms")
    shots_seed: int = Field(0, ge=0, description="which tuning questions are the examples")
    shots: Literal["drawn", "contrastive"] = Field(
        "drawn",
        description="examples of the n-shot arms; drawn: the same for every question; contrastive: the tuning "
        "questions nearest to it, each with a correct and an incorrect answer",
    )
    citations: bool = Field(
        False, description="ask for the numbers of the passages an answer rests on; checked, and left out of its text"
    )
    contexts: ContextsPosition = Field(
        "before_question", description="where passages stand: in the question's turn, or after the instructions"
    )

    @field_validator("arms")
    @classmethod
    def _distinct(cls, value: tuple[Arm, ...]) -> tuple[Arm, ...]:
        if others := [arm for arm in value if arm not in ARMS]:
            raise ValueError(f"{', '.join(others)}: no contestant; set tuning.control or tuning.single_forms instead")
        if len(set(value)) != len(value):
            raise ValueError("names an arm twice")
        return tuple(arm for arm in ARMS if arm in value)


class ScoreSettings(Settings):
    """How answers are scored."""

    metrics: tuple[Metric, ...] = Field(METRICS, min_length=1, description="metrics to compute")
