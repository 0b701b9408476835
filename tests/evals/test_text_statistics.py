from __future__ import annotations

import pytest
from nltk.util import ngrams

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.text_statistics import answer_length, distinct_share

TEXTS = ["The pump runs at noon", "the pump runs, at night", None, "", "pump", "Pump pump pump"]
CLUSTERS = ["a", "a", "b", "b", "c", "c"]


def test_length_counts_words_at_white_space() -> None:
    result = answer_length(["one", " one  two\n", "read-only, 40.5 V"], ["a", "b", "c"])
    assert result.value == pytest.approx((1 + 2 + 3) / 3)


def test_an_empty_answer_has_no_words_and_a_missing_one_is_counted_as_missing() -> None:
    result = answer_length(TEXTS, CLUSTERS, level=0.9)
    assert result == cluster_mean([5, 5, None, 0, 1, 3], CLUSTERS, level=0.9)
    assert (result.n, result.n_missing, result.value) == (5, 1, 14 / 5)


@pytest.mark.parametrize(
    ("answers", "unigrams", "bigrams"),
    [
        (["pump runs"], 1, 1),
        (["pump pump"], 1 / 2, 1),
        (["pump pump pump"], 1 / 3, 1 / 2),
        # The same answer twice: half of everything.
        (["pump runs fast", "pump runs fast"], 1 / 2, 1 / 2),
        # 5 different of 7 words; 5 bigrams, none across answers, (pump, runs) twice.
        (["pump runs fast", "The PUMP runs, at noon."], 5 / 7, 4 / 5),
        # One-word answers have no bigram.
        (["pump", "valve"], 1, None),
        (["", "."], None, None),
        ([], None, None),
    ],
)
def test_distinct_shares_worked_by_hand(answers: list[str], unigrams: float, bigrams: float | None) -> None:
    clusters = [str(i) for i in range(len(answers))]
    for n, expected in ((1, unigrams), (2, bigrams)):
        result = distinct_share(answers, clusters, n=n)
        assert result.value == expected
        assert result.low is result.high is result.se is result.dof is None
        assert result.reason == (f"no answer has {n} words" if expected is None else result.reason)
        assert result.reason is not None
        assert result.n == len(answers)


def test_distinct_shares_count_nltks_ngrams() -> None:
    answers = ["b c d b c", "c d", "d d d b c d", "e"]
    for n in (1, 2, 3):
        grams = [gram for answer in answers for gram in ngrams(answer.split(), n)]
        assert distinct_share(answers, ["x", "y", "z", "x"], n=n).value == len(set(grams)) / len(grams)


def test_more_different_answers_have_a_higher_share() -> None:
    same, mixed = ["pump runs", "pump runs"], ["pump runs", "valve opens"]
    for n in (1, 2):
        low, high = (distinct_share(texts, ["a", "b"], n=n).value for texts in (same, mixed))
        assert low is not None
        assert high is not None
        assert low < high


def test_missing_answers_are_counted() -> None:
    result = distinct_share(TEXTS, CLUSTERS, n=1)
    assert (result.n, result.n_missing, result.n_clusters) == (5, 1, 3)
    assert result.method == "distinct-1, higher is more diverse"


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="distinct-n"):
        distinct_share(["a"], ["a"], n=0)
    with pytest.raises(InputError, match="do not match"):
        distinct_share(["a"], [], n=1)
    with pytest.raises(InputError, match="do not match"):
        answer_length(["a"], [])
