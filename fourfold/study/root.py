"""Settings: one study."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from fourfold.study.answer import AnswerSettings, ScoreSettings
from fourfold.study.checks import CheckSettings
from fourfold.study.corpus import CorpusSettings
from fourfold.study.index import IndexSettings
from fourfold.study.judge import JudgeSettings
from fourfold.study.model import ModelSettings
from fourfold.study.questions import QuestionSettings
from fourfold.study.retrieval import RetrievalSettings
from fourfold.study.settings import Settings
from fourfold.study.tuning import TuningSettings
from fourfold.study.verdict import LatencySettings, PriceSettings, VerdictSettings


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
    checks: CheckSettings = CheckSettings()
    score: ScoreSettings = ScoreSettings()
    judge: JudgeSettings | None = Field(
        None, description="a language model that judges too: {} takes the default profile; null: none does"
    )
    verdict: VerdictSettings = VerdictSettings()
    latency: LatencySettings = LatencySettings()
    prices: PriceSettings = PriceSettings()

    @model_validator(mode="after")
    def _contexts_before_the_question(self) -> StudySettings:
        if self.tuning.objective == "cit" and self.answer.contexts == "after_question":
            raise ValueError("tuning.objective cit holds what contexts are worth before the question is read: "
                             "set answer.contexts to before_question or in_system")  # fmt: skip
        return self

    @field_validator("name")
    @classmethod
    def _not_the_store(cls, value: str) -> str:
        # runs/<name>/ stands beside runs/store.db and runs/blobs/.
        if value == "blobs" or value.startswith("store.db"):
            raise ValueError("is kept for the store's own files")
        return value
