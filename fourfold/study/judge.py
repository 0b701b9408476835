"""Settings: who judges the answers, by what, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from fourfold.study.model import ModelSettings
from fourfold.study.settings import Settings

Criterion = Literal[
    "correctness", "groundedness", "guideline accuracy", "succinctness", "coherence", "relevance", "completeness",
    "helpfulness", "level of detail",
]  # fmt: skip
CRITERIA: tuple[Criterion, ...] = (
    "correctness", "groundedness", "guideline accuracy", "succinctness", "coherence", "relevance", "completeness",
    "helpfulness", "level of detail",
)  # fmt: skip


class JudgeSettings(Settings):
    """One rubric and the same judges for every arm (fairness rule 6). A study without this group has no judge.

    A model in this process is read by the probabilities of its ratings; one behind an endpoint, which does not tell
    them, by what it writes.
    """

    judges: tuple[ModelSettings, ...] = Field(
        (ModelSettings(),), min_length=1, description="models that judge, written as the group model; several: a jury"
    )
    criteria: tuple[Criterion, ...] = Field(
        ("correctness", "groundedness"), min_length=1, description="what is judged; each is one pass over all answers"
    )
    repeats: int = Field(
        1, ge=1, le=20, description="judgements of each answer, by each judge; the levels listed in another order each"
    )
    combine: Literal["mean", "vote"] = Field(
        "mean", description="one score out of several judgements: their mean, or the level named most often"
    )
    severity: bool = Field(
        False, description="take out how severe each judge is (faceted Rasch model) before they are combined"
    )
    debate: bool = Field(
        False, description="each judge of a jury sees the others' ratings once and rates again; that rating counts"
    )
    pairwise: bool = Field(False, description="also compare every two contestants' answers, in both orders")
    guided: bool = Field(
        False, description="hold an endpoint's replies to a JSON schema; needs a server that decodes so"
    )
    guidelines: Path | None = Field(
        None, description="CSV of question_id, guideline: a person's, in place of those that the first judge writes"
    )
    labels: Path | None = Field(
        None, description="a sheet of 'fourfold judge sample', filled in: how far the judge agrees with it"
    )
    max_tokens: int = Field(200, ge=16, description="tokens a written judgement or guideline may have")
    passage_characters: int = Field(
        1500, ge=100, description="characters, at most, of the gold passage that the judge is shown"
    )

    @field_validator("criteria")
    @classmethod
    def _in_order(cls, value: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names a criterion twice")
        return tuple(criterion for criterion in CRITERIA if criterion in value)

    @field_validator("judges")
    @classmethod
    def _different(cls, value: tuple[ModelSettings, ...]) -> tuple[ModelSettings, ...]:
        served = [judge.endpoint.model if judge.endpoint else (judge.id, judge.quantisation) for judge in value]
        if len(set(served)) != len(served):
            raise ValueError("names a judge twice")
        if any(judge.endpoint is not None and judge.endpoint.adapters for judge in value):
            raise ValueError("adapters have no meaning for a judge")
        return value
