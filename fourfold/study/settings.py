"""What every group of settings is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
EMBEDDED = "embedded"


class Settings(BaseModel):
    """A group of settings: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
