"""Settings: what a question retrieves, and the modules on its way (each null, and so off, unless it is named)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from fourfold.study.settings import Settings, Share


class RewriterTuningSettings(Settings):
    """The rewriter's own adapter, as published for ERM4: QLoRA on the query and value projections."""

    rank: int = Field(8, ge=1, description="rank of the low-rank update")
    alpha: int = Field(16, ge=1, description="scale: the update is multiplied by alpha / rank")
    dropout: float = Field(0.05, ge=0, lt=1, description="dropout before the low-rank update")
    learning_rate: float = Field(1e-4, gt=0, lt=1, description="peak rate of AdamW, cosine decay to 0")
    batch_rows: int = Field(8, ge=1, description="rows an optimiser step sees")
    epochs: int = Field(6, ge=1, description="passes over the rows")
    cutoff_tokens: int = Field(400, ge=16, description="tokens; rows with more, prompt and reply, are left out")
    seed: int = Field(0, ge=0, description="initial weights and order of rows")


class RewriterSettings(Settings):
    """Query Rewriter+: a question becomes a clearer question and several search queries."""

    n_queries: int = Field(4, ge=1, le=8, description="search queries wanted, beside the rewritten question")
    max_tokens: int = Field(160, ge=16, description="tokens a reply may have")
    tuned: RewriterTuningSettings | None = Field(
        None, description="tune an adapter for it on the tuning questions; null: the model is prompted"
    )


class KnowledgeFilterSettings(Settings):
    """Knowledge Filter: passages that do not entail an answer to the question are not shown."""

    engine: Literal["prompted", "logprobs", "cross-encoder"] = Field(
        "logprobs", description="the model's written yes or no, the probability of its yes, or a small cross-encoder"
    )
    threshold: Share | None = Field(
        None, description="score from which a passage is kept; null: calibrated on the tuning questions"
    )
    max_lost: Share = Field(0.05, description="share of the passages with the answer that calibration may lose")
    candidates: int = Field(10, ge=1, description="passages judged for each question; the k best kept ones are shown")
    model: Path | None = Field(None, description="folder of a trained cross-encoder; null: trained for this study")
    epochs: int = Field(2, ge=1, description="passes over the labelled passages when the cross-encoder is trained")
    seed: int = Field(0, ge=0, description="the cross-encoder's first head weights and its order of passages")

    @model_validator(mode="after")
    def _fits_its_engine(self) -> Self:
        if self.engine == "prompted" and self.threshold is not None:
            raise ValueError("threshold has no meaning for engine prompted, which answers yes or no")
        if self.engine != "cross-encoder" and self.model is not None:
            raise ValueError("model has a meaning for engine cross-encoder only")
        return self


class TriggerSettings(Settings):
    """Retriever Trigger: which queries memory answers without a search."""

    mode: Literal["popularity", "always", "pass"] = Field(
        "popularity",
        description="popularity: the published rule; always: every query is searched and memory is added; "
        "pass: memory is not asked",
    )
    tau: float = Field(0.4, ge=-1, le=1, description="cosine from which a title in memory is alike to a query")
    theta: int = Field(3, ge=1, description="alike titles from which a query is not searched")
    max_recall_loss: float | None = Field(
        None, ge=0, lt=1, description="tau and theta are chosen on the tuning questions for this loss; null: as given"
    )


class MemorySettings(Settings):
    """Memory Knowledge Reservoir: filled from the tuning questions, then frozen."""

    capacity: int = Field(10_000, ge=1, description="passages kept; beyond them those used least recently go")
    trigger: TriggerSettings = TriggerSettings()


class RetrievalSettings(Settings):
    """What a question retrieves."""

    k: int = Field(3, ge=1, description="chunks given to the model")
    candidates: int = Field(20, ge=1, description="chunks each search contributes before fusion")
    rrf_constant: int = Field(60, ge=1, description="k of reciprocal-rank fusion, 1 / (k + rank)")
    rewriter: RewriterSettings | None = Field(None, description="rewrite questions before they are searched")
    knowledge_filter: KnowledgeFilterSettings | None = Field(None, description="drop passages without an answer")
    memory: MemorySettings | None = Field(None, description="keep passages of earlier questions and ask these first")
    fusion: Literal["rrf", "weighted"] = Field(
        "weighted",
        description="weighted: by scores, each search's scaled to 0..1 per question; rrf: by reciprocal ranks",
    )
    dense_weight: float = Field(
        0.6, ge=0, le=1, description="share of the dense scores in weighted fusion, BM25 has the rest; sweep it"
    )
    reranker: str | None = Field(
        None,
        min_length=1,
        description="reorders the candidates: 'embedded' (the study's model), 'train' (a cross-encoder trained on the "
        "tuning questions), or the id or folder of a CrossEncoder; null: none",
    )
    scope: Literal["all", "named_document"] = Field(
        "all",
        description="what is searched; named_document: only the documents whose title or file name stands in the "
        "question, all where none does",
    )
    titles: int | None = Field(
        None,
        ge=1,
        description="titles (document › section) nearest to a question, under which alone it is searched; null: all",
    )
    section_tokens: int | None = Field(
        None, ge=1, description="tokens up to which a chunk is shown with what is beside it in its section; null: alone"
    )
    focus_sentences: int | None = Field(
        None, ge=1, description="sentences of all the chunks together that are shown, the nearest to the question"
    )
    context_tokens: int | None = Field(
        None, ge=1, description="tokens that the passages shown may have together, each whole; null: no limit"
    )
    order: Literal["best_first", "best_last"] = Field(
        "best_first", description="order of the passages in the prompt; best_last: the best one beside the question"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.scope != "all" and self.titles is not None:
            raise ValueError("scope named_document and titles both choose what is searched: set one of them")
        if self.reranker is not None and (self.scope != "all" or self.titles is not None):
            raise ValueError("scope and titles rank every chunk, and a reranker would read them all: leave it out")
        if self.context_tokens is not None and (self.section_tokens or 0) > self.context_tokens:
            raise ValueError("context_tokens must be at least section_tokens: no passage is cut")
        return self
