from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from fourfold.errors import InputError
from fourfold.evals.similarity import Similarity, embedding_similarity

AT = {"east": 0, "also east": 0, "north-east": 45, "north": 90, "west": 180, "30": 30}


def compass(texts: Sequence[str]) -> NDArray[np.float32]:
    angles = np.radians([AT[text] for text in texts])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def only(answer: str | None, reference: str) -> Similarity:
    (result,) = embedding_similarity([answer], [reference], embed=compass)
    return result


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("also east", 1), ("east", 1), ("30", 3**0.5 / 2), ("north-east", 2**-0.5), ("north", 0)],
)
def test_similarity_is_the_cosine(answer: str, expected: float) -> None:
    result = only(answer, "east")
    assert result.value == pytest.approx(expected, abs=1e-6)
    assert result.value is not None
    assert 0 <= result.value <= 1
    assert result.reason is None


def test_a_cosine_below_0_counts_as_0() -> None:
    assert only("west", "east") == Similarity(value=0.0, reason=None)


def test_rounding_does_not_lift_it_above_1() -> None:
    (result,) = embedding_similarity(["a"], ["b"], embed=lambda texts: np.full((len(texts), 1), 1.0005))
    assert result.value == 1.0


@pytest.mark.parametrize(
    ("answer", "reference", "reason"),
    [
        (None, "east", "no answer"),
        ("east", " ", "the reference is empty"),
    ],
)
def test_what_has_no_text_has_no_similarity(answer: str | None, reference: str, reason: str) -> None:
    assert only(answer, reference) == Similarity(value=None, reason=reason)


@pytest.mark.parametrize("answer", ["", " \n"])
def test_an_answer_that_says_nothing_is_not_similar(answer: str) -> None:
    assert only(answer, "east") == Similarity(value=0.0, reason=None)


def test_results_keep_the_order_and_each_text_is_embedded_once() -> None:
    seen: list[str] = []

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        seen.extend(texts)
        return compass(texts)

    results = embedding_similarity(
        ["north", None, "east", "north"], ["east", "east", "east", "north-east"], embed=embed
    )
    assert [result.value for result in results] == [
        pytest.approx(0, abs=1e-6),
        None,
        pytest.approx(1),
        pytest.approx(2**-0.5),
    ]
    assert sorted(seen) == ["east", "north", "north-east"]


def test_without_any_text_the_embedder_is_not_asked() -> None:
    def never(_: Sequence[str]) -> NDArray[np.float32]:
        raise AssertionError

    assert embedding_similarity([None], ["east"], embed=never) == [Similarity(value=None, reason="no answer")]
    assert embedding_similarity([], [], embed=never) == []


@pytest.mark.parametrize(
    "vectors",
    [np.full((2, 2), 1.0), np.full((2, 2), np.nan), np.zeros((2, 2)), np.ones((3, 1)), np.ones(2), np.zeros((0, 2))],
)
def test_vectors_that_are_not_one_unit_vector_a_text_are_refused(vectors: NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match="vectors cannot be compared"):
        embedding_similarity(["a"], ["b"], embed=lambda _: vectors)


def test_lengths_must_match() -> None:
    with pytest.raises(InputError, match="do not match"):
        embedding_similarity(["a"], [], embed=compass)
