"""Every stage's settings, strict, with unit and default on each field. What is not named here has no effect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fourfold.types import ARMS, Arm

EMBEDDED = "embedded"
DEFAULT_INSTRUCTIONS = "Answer the question in one short sentence. If you do not know the answer, say: I don't know."

Metric = Literal["exact_match", "token_f1", "containment", "key_fact_recall", "rouge_l", "embedding_similarity"]
METRICS: tuple[Metric, ...] = (
    "exact_match", "token_f1", "containment", "key_fact_recall", "rouge_l", "embedding_similarity",
)  # fmt: skip
Share = Annotated[float, Field(gt=0, lt=1)]
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """A group of settings: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class CorpusSettings(Settings):
    """Which documents, and how they are read."""

    folder: Path = Field(description="folder of PDFs, searched with its subfolders")
    passwords: Mapping[str, Annotated[str, Field(pattern=_VARIABLE)]] = Field(
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
        return {k: v if isinstance(v, str) and re.fullmatch(_VARIABLE, v) else "(not shown)" for k, v in value.items()}


class EndpointSettings(Settings):
    """An OpenAI-compatible server that answers in place of a model in this process."""

    urls: tuple[str, ...] = Field(
        min_length=1, description="base URLs, as http://127.0.0.1:8000/v1; several serve the same model and take turns"
    )
    model: str = Field(min_length=1, description="the model's name on the server")
    key_variable: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="name of the environment variable that holds the key, which is never stored or shown; null: no key",
    )
    adapters: Mapping[str, str] = Field(
        {}, description="tuned adapters that the server has: name of their stage (tune, tune-seed-1 …) to model name"
    )
    max_in_flight: int = Field(16, ge=1, le=1024, description="requests under way at once, all addresses together")
    requests_per_minute: int | None = Field(None, ge=1, description="requests sent a minute; null: no limit")
    tokens_per_minute: int | None = Field(
        None, ge=1, description="prompt and answer tokens a minute, estimated first and corrected later; null: no limit"
    )
    timeout_s: float = Field(120.0, gt=0, le=3600, description="seconds a request may take from sending to last byte")
    retries: int = Field(5, ge=0, le=20, description="further tries of a request that failed in a way that may pass")

    @field_validator("urls", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("urls")
    @classmethod
    def _plain_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("must be base URLs, as http://127.0.0.1:8000/v1")
            # Settings are stored and shown; a key has its own way in.
            if parts.username or parts.password or parts.query or parts.fragment:
                raise ValueError("must hold no key, user or query: name the key's variable in key_variable")
        plain = tuple(url.rstrip("/") for url in value)
        if len(set(plain)) != len(plain):
            raise ValueError("names an address twice")
        return plain


class ModelSettings(Settings):
    """The language model that every arm uses."""

    id: str = Field(
        EMBEDDED,
        min_length=1,
        description="'embedded' (SmolLM2-135M-Instruct), a Hugging Face id, or a local folder in that form",
    )
    dtype: Literal["bfloat16", "float32"] = Field("bfloat16", description="of resident weights and activations")
    quantisation: Literal["nf4", "none"] = Field(
        "nf4", description="nf4: linear weights rounded to 4-bit NormalFloat once and kept resident, dequantised"
    )
    batch_tokens: int = Field(
        16_384, ge=256, description="tokens: prompts × (longest prompt + answer limit) of one batch stay under this"
    )
    endpoint: EndpointSettings | None = Field(
        None, description="a server that answers for every arm; null: the model runs in this process"
    )


class HoldoutSettings(Settings):
    """Documents and sections that no tuning or validation question is written about; the index covers them all."""

    documents: tuple[str, ...] = Field((), description="names of PDFs, as paths within the corpus folder")
    share: Share | None = Field(None, description="further share of the documents, drawn by questions.seed")
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
    prompts: Path | None = Field(
        None, description="folder with question.txt and answer.txt, prompts in place of ours for generator llm"
    )
    tags: Mapping[str, tuple[str, ...]] = Field(
        {}, description="per tag its words; a section that holds one has the tag, and so have its questions"
    )
    holdout: HoldoutSettings | None = Field(
        None, description="documents, share, sections: what no tuning question is written about; null: nothing"
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


class EmbeddingEndpoint(EndpointSettings):
    """An OpenAI-compatible server that embeds in place of a model in this process."""

    dimensions: int | None = Field(None, ge=1, description="numbers in a vector, where the server can shorten it")
    batch_texts: int = Field(64, ge=1, le=2048, description="texts sent in one request")

    @field_validator("adapters")
    @classmethod
    def _no_adapters(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        if value:
            raise ValueError("has no meaning for an embedder")
        return value


class IndexSettings(Settings):
    """Chunks and their vectors."""

    embedder: str = Field(EMBEDDED, min_length=1, description="'embedded' (all-MiniLM-L6-v2), an id, or a folder")
    endpoint: EmbeddingEndpoint | None = Field(
        None, description="a server that embeds; null: the embedder runs in this process"
    )
    query_prompt: str | None = Field(
        None, description="put before a question ('query: ' for E5); null: what the embedder's files name, else nothing"
    )
    passage_prompt: str | None = Field(None, description="put before a passage; null: as for query_prompt")
    chunk_tokens: int = Field(
        192,
        ge=16,
        le=8192,
        description="tokens of the student's tokenizer, at most, per chunk",
    )
    chunk_overlap: int = Field(24, ge=0, description="tokens that neighbouring chunks share, at most")


class RetrievalSettings(Settings):
    """What a question retrieves."""

    k: int = Field(3, ge=1, description="chunks given to the model")
    candidates: int = Field(20, ge=1, description="chunks each search contributes before fusion")
    rrf_constant: int = Field(60, ge=1, description="k of reciprocal-rank fusion, 1 / (k + rank)")


class TuningSettings(Settings):
    """QLoRA on the declared mixture of both prompt forms."""

    rank: int = Field(16, ge=1, description="rank of the low-rank update")
    alpha: int = Field(32, ge=1, description="scale: the update is multiplied by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the low-rank update")
    learning_rate: float = Field(4e-4, gt=0, lt=1, description="peak rate of AdamW, cosine decay to 0")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of the steps spent warming up")
    epochs: int = Field(1, ge=1, description="passes over the tuning rows")
    batch_rows: int = Field(8, ge=1, description="rows an optimiser step sees")
    micro_batch_rows: int = Field(2, ge=1, description="rows one forward pass sees; must divide batch_rows")
    with_context_share: float = Field(
        0.5, ge=0, le=1, description="share of tuning rows in the with-contexts form; 0.5: each pair once in each form"
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

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value) or min(value) < 0:
            raise ValueError("must be different numbers from 0 up")
        return value

    @field_validator("with_context_share")
    @classmethod
    def _one_of_three(cls, value: float) -> float:
        if value not in {0.0, 0.5, 1.0}:
            raise ValueError("must be 0 (closed book only), 0.5 (the mixture) or 1 (with contexts only)")
        return value


class AnswerSettings(Settings):
    """How every arm answers: the same for all."""

    arms: tuple[Arm, ...] = Field(ARMS, min_length=1, description="arms to run")
    instructions: str = Field(DEFAULT_INSTRUCTIONS, min_length=1, description="system prompt of every arm")
    max_tokens: int = Field(48, ge=1, description="tokens an answer may have")
    n_shots: int = Field(3, ge=1, description="examples from the tuning questions in the prompts of the n-shot arms")
    shots_seed: int = Field(0, ge=0, description="which tuning questions are the examples")

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


class StudySettings(Settings):
    """One study."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="names the results folder: a-z, 0-9, '.', '_', '-'"
    )
    corpus: CorpusSettings
    model: ModelSettings = ModelSettings()
    questions: QuestionSettings = QuestionSettings()
    index: IndexSettings = IndexSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    tuning: TuningSettings = TuningSettings()
    answer: AnswerSettings = AnswerSettings()
    score: ScoreSettings = ScoreSettings()
    verdict: VerdictSettings = VerdictSettings()
    latency: LatencySettings = LatencySettings()
    prices: PriceSettings = PriceSettings()

    @field_validator("name")
    @classmethod
    def _not_the_store(cls, value: str) -> str:
        # runs/<name>/ stands beside runs/store.db and runs/blobs/.
        if value == "blobs" or value.startswith("store.db"):
            raise ValueError("is kept for the store's own files")
        return value
