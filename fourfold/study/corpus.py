"""Settings: which documents, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from fourfold.study.settings import VARIABLE, Settings


class CorpusSettings(Settings):
    """Which documents, and how they are read."""

    folder: Path = Field(description="folder of PDFs, searched with its subfolders")
    passwords: Mapping[str, Annotated[str, Field(pattern=VARIABLE)]] = Field(
        {},
        description="encrypted PDF (its path in the folder) to name of the environment variable that holds its "
        "password, which is never stored or shown",
    )
    ocr: Literal["auto", "force", "off"] = Field(
        "auto", description="auto: Tesseract, where installed, reads pages that have no text layer; force: every page"
    )
    ocr_language: str = Field(
        "eng",
        pattern=r"^[A-Za-z_]+(\+[A-Za-z_]+)*$",
        description="what scans are written in, by Tesseract's names: eng, deu, eng+fra",
    )
    seconds_per_page: float = Field(
        60.0, gt=0, le=3600, description="seconds without a further page after which a file is given up as unread"
    )

    @field_validator("passwords", mode="before")
    @classmethod
    def _hide_slips(cls, value: object) -> object:
        # What is written in place of a variable's name may be the password itself, and a mistake is shown.
        if not isinstance(value, Mapping):
            return value
        return {k: v if isinstance(v, str) and re.fullmatch(VARIABLE, v) else "(not shown)" for k, v in value.items()}
