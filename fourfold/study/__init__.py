"""Every stage's settings, strict, with unit and default on each field. What is not named here has no effect."""

from __future__ import annotations

from fourfold.study.answer import DEFAULT_INSTRUCTIONS, METRICS, AnswerSettings, Metric, ScoreSettings
from fourfold.study.checks import CheckSettings
from fourfold.study.corpus import CorpusSettings
from fourfold.study.index import EmbeddingEndpoint, IndexSettings
from fourfold.study.judge import CRITERIA, Criterion, JudgeSettings
from fourfold.study.model import EndpointSettings, ModelSettings
from fourfold.study.questions import HoldoutSettings, QuestionSettings
from fourfold.study.retrieval import RetrievalSettings
from fourfold.study.root import StudySettings
from fourfold.study.settings import EMBEDDED, Price, Settings, Share
from fourfold.study.tuning import TuningSettings
from fourfold.study.verdict import ConstraintSettings, LatencySettings, PriceSettings, VerdictSettings

__all__ = [
    "CRITERIA",
    "DEFAULT_INSTRUCTIONS",
    "EMBEDDED",
    "METRICS",
    "AnswerSettings",
    "CheckSettings",
    "ConstraintSettings",
    "CorpusSettings",
    "Criterion",
    "EmbeddingEndpoint",
    "EndpointSettings",
    "HoldoutSettings",
    "IndexSettings",
    "JudgeSettings",
    "LatencySettings",
    "Metric",
    "ModelSettings",
    "Price",
    "PriceSettings",
    "QuestionSettings",
    "RetrievalSettings",
    "ScoreSettings",
    "Settings",
    "Share",
    "StudySettings",
    "TuningSettings",
    "VerdictSettings",
]
