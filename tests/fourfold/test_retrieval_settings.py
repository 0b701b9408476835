"""The settings of the retrieval modules: all off unless named, the published values where they are."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from fourfold.study import RetrievalSettings
from fourfold.study.retrieval import KnowledgeFilterSettings, MemorySettings, RewriterTuningSettings, TriggerSettings


def test_every_module_is_off_unless_it_is_named() -> None:
    settings = RetrievalSettings()
    assert (settings.rewriter, settings.knowledge_filter, settings.memory) == (None, None, None)


def test_the_published_values_are_the_defaults() -> None:
    tuned, trigger = RewriterTuningSettings(), TriggerSettings()
    assert (tuned.rank, tuned.alpha, tuned.dropout, tuned.learning_rate) == (8, 16, 0.05, 1e-4)
    assert (tuned.batch_rows, tuned.epochs, tuned.cutoff_tokens) == (8, 6, 400)
    assert (trigger.mode, trigger.tau, trigger.theta) == ("popularity", 0.4, 3)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"engine": "prompted", "threshold": 0.5}, "threshold has no meaning"),
        ({"engine": "logprobs", "model": "folder"}, "model has a meaning for engine cross-encoder only"),
        ({"engine": "guess"}, "prompted"),
        ({"threshold": 1.0}, "less than 1"),
        ({"candidates": 0}, "greater than or equal to 1"),
        ({"thresold": 0.5}, "extra"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(settings: dict[str, object], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        KnowledgeFilterSettings.model_validate(settings)


@pytest.mark.parametrize(
    "settings", [{"capacity": 0}, {"trigger": {"tau": 1.5}}, {"trigger": {"theta": 0}}, {"trigger": {"mode": "never"}}]
)
def test_a_memory_that_cannot_be_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MemorySettings.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"scope": "named_document", "titles": 3}, "set one of them"),
        ({"scope": "named_document", "reranker": "embedded"}, "leave it out"),
        ({"titles": 3, "reranker": "embedded"}, "leave it out"),
        ({"section_tokens": 300, "context_tokens": 200}, "at least section_tokens"),
        ({"context_tokens": 0}, "greater than or equal to 1"),
        ({"order": "worst_first"}, "best_last"),
        ({"scope": "gold_document"}, "named_document"),
    ],
)
def test_passages_that_cannot_be_chosen_so_are_refused(settings: dict[str, object], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        RetrievalSettings.model_validate(settings)


def test_what_a_prompt_shows_is_the_chunks_found_unless_more_is_named() -> None:
    settings = RetrievalSettings()
    assert (settings.scope, settings.titles, settings.section_tokens) == ("all", None, None)
    assert (settings.focus_sentences, settings.context_tokens, settings.order) == (None, None, "best_first")
