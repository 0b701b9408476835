from __future__ import annotations

import math

import pytest
from support.questions import make_question

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.known import knowledge_discovery, known_closed_book, other_documents, similarity_class
from fourfold.types import Block


def block(doc_id: str, text: str) -> Block:
    return Block(
        doc_id=doc_id,
        position=0,
        kind="text",
        page=1,
        bbox=(0, 0, 1, 1),
        start=0,
        end=len(text),
        section=(),
        text=text,
    )


def test_known_from_the_threshold_up_and_unknown_whether_known_where_it_failed() -> None:
    scores = {"a": 0.0, "b": 0.49, "c": 0.5, "d": 1.0, "e": None}
    expected = {"a": False, "b": False, "c": True, "d": True, "e": None}
    assert known_closed_book(scores, threshold=0.5) == expected
    assert known_closed_book(scores, threshold=1)["c"] is False
    assert known_closed_book({}, threshold=0.5) == {}


@pytest.mark.parametrize("threshold", [0, 1.5, math.nan])
def test_a_threshold_outside_the_scores_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="known"):
        known_closed_book({"a": 1.0}, threshold=threshold)


@pytest.mark.parametrize(
    ("facts", "texts", "expected"),
    [
        ([("40 V",)], [], ()),
        ([("40 V",)], [("d2", "It runs at 40 V.")], ("d2",)),
        # The gold's own document does not count.
        ([("40 V",)], [("d1", "It runs at 40 V.")], ()),
        # Alphabetical, each document once.
        ([("40 V",)], [("d3", "40 V"), ("d2", "40 v!"), ("d3", "40 V")], ("d2", "d3")),
        # The tokens stand there, but not as a run.
        ([("40 V",)], [("d2", "V or 40")], ()),
        ([("40 V",)], [("d2", "400 V")], ()),
        # Any string of a fact states it.
        ([("40 V", "forty volts")], [("d2", "at forty volts")], ("d2",)),
        # Every fact, in one and the same passage.
        ([("40 V",), ("noon",)], [("d2", "40 V at noon")], ("d2",)),
        ([("40 V",), ("noon",)], [("d2", "40 V"), ("d2", "noon")], ()),
        # Without key facts: the reference ("it runs").
        ([], [("d2", "So it runs."), ("d3", "it ran")], ("d2",)),
        # A fact without tokens stands nowhere.
        ([("the",)], [("d2", "the")], ()),
    ],
)
def test_documents_that_hold_the_fact(
    facts: list[tuple[str, ...]], texts: list[tuple[str, str]], expected: tuple[str, ...]
) -> None:
    question = make_question("q", key_facts=tuple(facts), doc_id="d1")
    assert other_documents([question], [block(*text) for text in texts]) == {"q": expected}


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (1.0, "similar"),
        (2 / 3, "similar"),
        (0.66, "somewhat similar"),
        (1 / 3, "somewhat similar"),
        (0.33, "not similar"),
        (0.0, "not similar"),
        (None, None),
    ],
)
def test_similarity_classes_are_cut_at_thirds(score: float | None, expected: str | None) -> None:
    assert similarity_class(score) == expected


def test_discovery_is_the_share_of_each_class_with_its_interval() -> None:
    scores = {"a": 1.0, "b": 0.5, "c": 0.0, "d": None, "e": 0.7}
    clusters = {"a": "x", "b": "x", "c": "y", "d": "y", "e": "z", "other": "z"}
    result = knowledge_discovery(scores, clusters, level=0.9)
    names = ["x", "x", "y", "y", "z"]
    assert result.similar == cluster_mean([1, 0, 0, None, 1], names, level=0.9)
    assert result.somewhat_similar == cluster_mean([0, 1, 0, None, 0], names, level=0.9)
    assert result.not_similar == cluster_mean([0, 0, 1, None, 0], names, level=0.9)
    assert (result.similar.n, result.similar.n_missing) == (4, 1)


def test_without_questions_the_shares_are_undefined() -> None:
    result = knowledge_discovery({}, {})
    assert result.similar.value is result.somewhat_similar.value is result.not_similar.value is None
    assert result.similar.reason == "no values"


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="cluster"):
        knowledge_discovery({"a": 1.0}, {})
    with pytest.raises(InputError, match="not a number"):
        knowledge_discovery({"a": math.nan}, {"a": "x"})
    with pytest.raises(InputError, match="not a number"):
        known_closed_book({"a": math.nan}, threshold=0.5)
