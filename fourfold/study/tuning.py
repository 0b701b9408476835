"""Settings: how adapters are tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from fourfold.study.settings import Settings, Share

Method = Literal["lora", "qlora", "dora", "rslora", "full"]
TrainingForm = Literal["mixture", "closed_book", "with_context", "raft"]
Objective = Literal["sft", "dpo", "cit"]
CitForm = Literal["two-sided", "hinge"]
Selection = Literal["none", "grape", "s3ft"]
Attention = Literal["sdpa", "segment"]


class GeneralSettings(Settings):
    """General instructions beside the study's own questions, against forgetting."""

    file: Path = Field(description="JSON lines, each with a 'prompt' and an 'answer'")
    share: Share = Field(0.2, description="share of all training rows that come from it; drawn by tuning seed")


class TuningSettings(Settings):
    """One adapter for each seed: method, training set, objective, and which of its weights are kept."""

    method: Method = Field(
        "lora",
        description="lora: low-rank update on the base as model.quantisation has it | qlora: the same, and refuses a "
        "base that is not nf4 | dora, rslora: PEFT's variants | full: the weights themselves, where memory allows",
    )
    rank: int = Field(16, ge=1, description="rank of the low-rank update")
    alpha: int = Field(32, ge=1, description="scale: the update is multiplied by alpha / rank (rslora: / √rank)")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the low-rank update")
    layers: Literal["all", "query and value"] = Field(
        "all", description="linear layers with a low-rank update: all but the output head, or attention's q and v"
    )
    learning_rate: float = Field(4e-4, gt=0, lt=1, description="peak rate of AdamW, cosine decay to 0")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of the steps spent warming up")
    epochs: int = Field(1, ge=1, description="passes over the tuning rows")
    batch_rows: int = Field(8, ge=1, description="rows an optimiser step sees")
    micro_batch_rows: int = Field(
        2, ge=1, description="longest rows that one forward pass sees, or as many shorter ones as hold the same tokens"
    )
    attention: Attention = Field(
        "sdpa",
        description="sdpa: rows side by side, padded | segment: rows packed without padding, beginnings that rows of a "
        "step share read once; questions with one set of contexts then stand in one step",
    )
    form: TrainingForm = Field(
        "mixture",
        description="mixture: each pair once without and once with contexts, as its arms ask | closed_book | "
        "with_context: one of the two | raft: the gold chunk among distractors, answers that quote it",
    )
    raft_gold_share: float = Field(0.8, ge=0, le=1, description="share of raft rows that show the gold chunk")
    raft_distractors: int | None = Field(
        None, ge=1, description="distractors beside the gold chunk; null: retrieval.k - 1, at least 1"
    )
    objective: Objective = Field(
        "sft",
        description="sft: answer tokens | dpo: the reference preferred to a wrong answer of the base | cit: answer "
        "tokens, and the contexts' likelihood held where the base has it",
    )
    cit_form: CitForm = Field("two-sided", description="two-sided: any change counts | hinge: only a rise does")
    cit_alpha: float = Field(0.3, ge=0, le=100, description="weight of the contexts' term; 0: sft")
    dpo_beta: float = Field(0.1, gt=0, le=10, description="how strongly the base is held to")
    dpo_rejected: Literal["distractor", "memory"] = Field(
        "distractor", description="what the base answers the rejected answer from: a passage beside the gold, or none"
    )
    selection: Selection = Field(
        "none",
        description="grape: of the correct answers the one most likely under the base | s3ft: the base's own answer "
        "where it is correct | none: the reference; correct is by key facts",
    )
    size: float = Field(
        1.0,
        gt=0,
        description="up to 1: share of the tuning questions, above: their number; small sets are part of large ones",
    )
    general: GeneralSettings | None = Field(None, description="general instructions mixed in; null: none")
    checkpoint: Literal["last", "best"] = Field(
        "last", description="best: the weights with the lowest answer loss on validation questions"
    )
    evaluate_steps: int = Field(5, ge=1, description="optimiser steps between two looks at the validation questions")
    patience: int | None = Field(
        None, ge=1, description="looks without a better loss after which tuning stops; null: it does not"
    )
    drift_documents: int = Field(
        4, ge=0, description="documents of each kind whose likelihood is followed by epoch; 0: none"
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

    @property
    def shows_contexts(self) -> bool:
        """Whether the adapter's training prompts hold retrieved contexts."""
        return self.form != "closed_book"

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value) or min(value) < 0:
            raise ValueError("must be different numbers from 0 up")
        return value

    @field_validator("size")
    @classmethod
    def _share_or_number(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise ValueError("must be a share up to 1, or a whole number of questions")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> TuningSettings:
        if self.objective == "cit" and not self.shows_contexts:
            raise ValueError("objective cit holds the contexts' likelihood, and form closed_book shows none")
        if self.patience is not None and self.checkpoint == "last":
            raise ValueError("patience looks at validation questions: set checkpoint to best")
        if self.method == "full" and self.objective == "dpo":
            raise ValueError("objective dpo is for low-rank methods: its reference is the base without the adapter")
        if self.objective == "dpo" and self.general is not None:
            raise ValueError("general rows have no worse answer, which objective dpo needs: leave general out")
        if self.attention == "segment":
            self._shares_contexts()
        return self

    def _shares_contexts(self) -> None:
        if self.dropout > 0:
            raise ValueError(
                "attention segment reads a context once, and dropout would draw one mask for it: set it to 0"
            )
        if self.method == "full":
            raise ValueError("attention segment is for low-rank methods: set method to lora, or attention to sdpa")
        if self.objective == "dpo":
            raise ValueError("attention segment does not reach objective dpo, whose rows TRL lays out: set it to sdpa")
