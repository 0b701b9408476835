from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fourfold.evals.judge.bradley_terry import bradley_terry, strengths

ARMS = ("base", "rag", "tuned", "tuned + rag")


def test_two_arms_have_the_log_odds_of_their_wins() -> None:
    found = bradley_terry({("a", "b"): 3.0, ("b", "a"): 1.0}, ["a", "b"])
    assert found is not None
    assert found["a"] - found["b"] == pytest.approx(math.log(3))
    assert sum(found.values()) == pytest.approx(0)


def test_many_arms_agree_with_logistic_regression() -> None:
    rng = np.random.default_rng(4)
    truth = np.array([-1.0, 0.0, 0.3, 0.7])
    wins: dict[tuple[str, str], float] = {}
    rows, won = [], []
    for _ in range(400):
        i, j = rng.choice(4, size=2, replace=False)
        first = rng.random() < 1 / (1 + math.exp(truth[j] - truth[i]))
        winner, loser = (i, j) if first else (j, i)
        key = (ARMS[winner], ARMS[loser])
        wins[key] = wins.get(key, 0.0) + 1
        row = np.zeros(4)
        row[i], row[j] = 1, -1
        rows.append(row)
        won.append(int(first))
    found = bradley_terry(wins, ARMS)
    assert found is not None
    # Penalty as good as none; the scale is fixed by a sum of 0.
    outside = LogisticRegression(C=1e10, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(rows, won).coef_[0]
    assert list(found.values()) == pytest.approx((outside - outside.mean()).tolist(), abs=1e-3)


def test_an_arm_that_never_loses_has_no_strength() -> None:
    assert bradley_terry({("a", "b"): 3.0, ("b", "c"): 1.0, ("c", "b"): 1.0}, ["a", "b", "c"]) is None
    assert bradley_terry({}, ["a", "b"]) is None
    assert bradley_terry({}, ["a"]) is None


def test_strengths_count_a_tie_half_and_have_intervals_by_cluster() -> None:
    settled: dict[tuple[str, str, str], float | None] = {
        (f"q{at}", "rag", "base"): value for at, value in enumerate([1.0, 1.0, 0.5, 0.0, 1.0, 0.5, None])
    }
    clusters = {f"q{at}": f"c{at % 3}" for at in range(7)}
    base, rag = strengths(settled, ("base", "rag"), clusters)
    # 4 wins of 6: log(4 / 2) apart.
    assert rag.logits.value is not None
    assert base.logits.value is not None
    assert rag.logits.value - base.logits.value == pytest.approx(math.log(2))
    assert (rag.logits.n, rag.logits.n_missing, rag.logits.n_clusters) == (6, 1, 3)
    assert rag.logits.low is not None
    assert rag.logits.low < rag.logits.value


def test_a_lead_without_bound_says_so() -> None:
    settled: dict[tuple[str, str, str], float | None] = {("q0", "rag", "base"): 1.0, ("q1", "rag", "base"): 1.0}
    for strength in strengths(settled, ("base", "rag"), {"q0": "a", "q1": "b"}):
        assert strength.logits.value is None
        assert strength.logits.reason is not None
        assert "no upper bound" in strength.logits.reason
