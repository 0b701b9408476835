"""Settings: the decision rule, what is timed, and prices."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from fourfold.study.answer import Metric
from fourfold.study.settings import Price, Settings, Share


class ConstraintSettings(Settings):
    """What an arm must meet to stand in the verdict; null: no limit. What was not measured is not met."""

    max_cost_per_query: Price | None = Field(
        None,
        description="currency a query, fixed cost spread over verdict.n_queries; tokens where no price is set",
    )
    max_p95_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="seconds that 95% of the requests, one at a time, may take; needs latency.enabled"
    )
    max_tuning_hours: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="hours to write tuning questions and tune; 0 leaves the arms that need neither"
    )


class VerdictSettings(Settings):
    """The decision rule, frozen before the first answer."""

    primary: Metric = Field("key_fact_recall", description="metric that decides")
    margin: Share = Field(0.05, description="difference on the primary metric that matters, in its unit (0 to 1)")
    n_queries: int = Field(10_000, ge=1, description="queries over which fixed costs are spread when arms are ranked")
    seed: int = Field(0, ge=0, description="of the wild bootstrap and the sign-flip test")
    constraints: ConstraintSettings = ConstraintSettings()


class LatencySettings(Settings):
    """A pass of its own over test questions, nothing taken from the cache: one at a time, then several at once."""

    enabled: bool = Field(False, description="whether to measure seconds; cost by machine hour needs them")
    n_questions: int = Field(30, ge=30, description="test questions drawn; all of them where there are fewer")
    concurrency: int = Field(8, ge=1, description="questions answered at once where cost by machine hour is measured")
    seed: int = Field(0, ge=0, description="which questions are drawn, and the order of arms within each")


class PriceSettings(Settings):
    """What things cost; null: not known, and never taken for 0. Without prices arms are ranked by tokens a query."""

    currency: str = Field("USD", min_length=1, max_length=12, description="names the unit of every price below")
    machine_hour: Price | None = Field(None, description="self-hosted: currency per hour of the machine that was used")
    prompt_million: Price | None = Field(None, description="hosted: currency per million prompt tokens")
    answer_million: Price | None = Field(None, description="hosted: currency per million answer tokens")
    storage_gb_month: Price | None = Field(
        None, description="currency per GB (10^9 bytes) and month, index and adapter"
    )
    storage_months: Price = Field(1.0, description="months of storage counted in the fixed cost")
    watts: Price | None = Field(None, description="W the machine draws while it works; null: energy is not counted")
    kilowatt_hour: Price | None = Field(None, description="currency per kWh; null: energy is not counted")

    @model_validator(mode="after")
    def _whole_pairs(self) -> Self:
        for one, other in (("prompt_million", "answer_million"), ("watts", "kilowatt_hour")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"{one} and {other} are needed together, or neither")
        return self
