"""Settings: where test and tuning questions come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from fourfold.study.settings import Settings, Share


class HoldoutSettings(Settings):
    """Documents and sections that no tuning or validation question is written about; the index covers them all."""

    documents: tuple[str, ...] = Field((), description="names of PDFs, as paths within the corpus folder")
    share: Share | None = Field(None, description="further share of the documents, drawn by questions.seed")
    since: date | None = Field(
        None,
        description="documents last changed on this day or later, by their own metadata; those without a date stay",
    )
    sections: str | None = Field(
        None, min_length=1, description="regular expression; sections that it finds in a heading of, or above them"
    )

    @field_validator("sections")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return value


class QuestionSettings(Settings):
    """Test questions from a file, else made from the documents; tuning questions generated over every document."""

    file: Path | None = Field(
        None,
        description="test questions: JSON lines, CSV, or SQuAD JSON, by the file's ending; null: made from the "
        "documents by cloze, and the verdict says that they were not reviewed",
    )
    subset: str | None = Field(None, description="only rows whose 'subsets' name this; null: all rows")
    reviewed: Path | None = Field(
        None, description="a sheet of 'fourfold review', filled in; its questions are kept as they stand there"
    )
    n_test: int = Field(100, ge=1, description="test questions made where no file is named")
    generator: Literal["llm", "cloze"] = Field(
        "llm", description="who writes tuning and validation questions: the model, or cloze, which needs none"
    )
    outside: Path | None = Field(
        None,
        description="folder of PDFs that are no part of the corpus; unanswerable test questions are made from them",
    )
    unanswerable_share: Share = Field(
        0.2, description="share of the test questions that are unanswerable, where questions.outside is set"
    )
    prompts: Path | None = Field(
        None, description="folder with question.txt and answer.txt, prompts in place of ours for generator llm"
    )
    tags: Mapping[str, tuple[str, ...]] = Field(
        {}, description="per tag its words; a section that holds one has the tag, and so have its questions"
    )
    holdout: HoldoutSettings | None = Field(
        None, description="documents, since, share, sections: what no tuning question is written about; null: nothing"
    )
    n_tuning: int = Field(60, ge=1, description="tuning questions kept after all checks")
    n_validation: int = Field(0, ge=0, description="further generated questions, never trained on or shown")
    candidates_per_question: int = Field(
        6, ge=1, le=100, description="at most this many candidate quotes are tried per question wanted"
    )
    max_question_tokens: int = Field(40, ge=8, description="tokens a generated question may have")
    max_reference_tokens: int = Field(40, ge=4, description="tokens a generated reference may have")
    jaccard_limit: Share = Field(
        0.8, description="Jaccard of word 3-grams from which a tuning pair repeats a test pair"
    )
    cosine_limit: Share = Field(0.95, description="embedding cosine from which a tuning pair repeats a test pair")
    leak_limit: Share = Field(0.1, description="share of tuning questions taken out from which the study stops")
    seed: int = Field(0, ge=0, description="order in which candidate quotes are tried")

    @field_validator("tags")
    @classmethod
    def _words(cls, value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        if not all(name.strip() and words and all(word.strip() for word in words) for name, words in value.items()):
            raise ValueError("every tag needs a name and at least one word, none of them blank")
        return value
