from __future__ import annotations

import random

import pytest
from sklearn.metrics import precision_score, recall_score

from fourfold.errors import InputError
from fourfold.evals.abstention import score_abstention
from fourfold.evals.cluster_robust import cluster_mean

YES, NO = True, False


def values(
    refused: list[bool | None], answerable: list[bool | None]
) -> tuple[float | None, float | None, str | None, str | None]:
    result = score_abstention(refused, answerable, [str(i) for i in range(len(refused))])
    reasons = [e.reason if e.value is None else None for e in (result.precision, result.recall)]
    return result.precision.value, result.recall.value, *reasons


@pytest.mark.parametrize(
    ("refused", "answerable", "expected"),
    [
        # Every refusal right, and everything unanswerable refused.
        ([YES, NO], [NO, YES], (1, 1, None, None)),
        # Two refused, one of them unanswerable; of two unanswerable one refused.
        ([YES, YES, NO, NO], [NO, YES, NO, YES], (1 / 2, 1 / 2, None, None)),
        # Refuses everything: finds all, at the base rate.
        ([YES, YES, YES], [NO, YES, YES], (1 / 3, 1, None, None)),
        ([NO, NO], [NO, YES], (None, 0, "no question was refused", None)),
        ([YES, NO], [YES, YES], (0, None, None, "no question is unanswerable")),
        ([YES, NO], [None, None], (None, None, "not recorded", "not recorded")),
        ([], [], (None, None, "not recorded", "not recorded")),
        # The failed answer might have been either; the unmarked refusal counts for neither.
        ([None, YES], [NO, NO], (1, 1, None, None)),
        ([None, NO], [NO, YES], (None, None, *["every such question is missing"] * 2)),
        ([YES, YES], [None, NO], (1, 1, None, None)),
    ],
)
def test_abstention_worked_by_hand(
    refused: list[bool | None], answerable: list[bool | None], expected: tuple[object, ...]
) -> None:
    assert values(refused, answerable) == expected


def test_counts_and_intervals_are_those_of_the_part_that_counts() -> None:
    refused = [YES, YES, NO, None, YES, NO, None]
    answerable = [NO, YES, NO, NO, NO, YES, YES]
    clusters = ["a", "a", "b", "b", "c", "c", "c"]
    result = score_abstention(refused, answerable, clusters, level=0.9)
    assert result.precision == cluster_mean([1, 0, None, 1, None], ["a", "a", "b", "c", "c"], level=0.9)
    assert result.recall == cluster_mean([1, 0, None, 1], ["a", "b", "b", "c"], level=0.9)
    assert (result.precision.n, result.precision.n_missing) == (3, 2)
    assert (result.recall.n, result.recall.n_missing) == (3, 1)


def test_precision_and_recall_are_scikit_learns() -> None:
    rng = random.Random(11)
    for _ in range(20):
        refused = [rng.random() < 0.5 for _ in range(30)]
        answerable = [rng.random() < 0.6 for _ in range(30)]
        unanswerable = [not mark for mark in answerable]
        precision, recall, *_ = values([*refused], [*answerable])
        assert precision == pytest.approx(precision_score(unanswerable, refused))
        assert recall == pytest.approx(recall_score(unanswerable, refused))


def test_lengths_must_match() -> None:
    with pytest.raises(InputError, match="do not match"):
        score_abstention([YES], [NO, NO], ["a", "b"])
