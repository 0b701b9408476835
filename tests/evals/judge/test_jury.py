from __future__ import annotations

import pytest

from fourfold.evals.judge.jury import agreement, combine

LEVELS = (1.0, 0.75, 0.5, 0.25, 0.0)


def test_the_mean_is_over_all_judgements() -> None:
    assert combine([1.0, 0.5, 0.0, 0.5], "mean", LEVELS) == 0.5


def test_the_vote_is_the_level_named_most_often() -> None:
    assert combine([1.0, 0.9, 0.0], "vote", LEVELS) == 1.0
    # A tie of two levels is their mean; so is one of three.
    assert combine([1.0, 0.0], "vote", LEVELS) == 0.5
    assert combine([1.0, 0.75, 0.25], "vote", LEVELS) == pytest.approx(2 / 3)


def test_agreement_of_a_jury_worked_by_hand() -> None:
    scores = {"a": [[1.0], [1.0], [0.0], [0.0]], "b": [[1.0], [0.0], [0.0], [0.0]], "c": [[0.9], [0.8], [0.1], [None]]}
    found = agreement(scores)
    # a and b: p_o = .75, p_e = .5 × .25 + .5 × .75 = .5.
    assert dict(((x, y), k) for x, y, k in found.cohen)["a", "b"] == pytest.approx(0.5)  # noqa: C402
    # The three answers that all scored: TTT, TFT, FFF; P = (1 + 1/3 + 1) / 3, P_e = (5² + 4²) / 81.
    assert found.fleiss == pytest.approx((7 / 9 - 41 / 81) / (1 - 41 / 81))
    assert found.alpha is not None
    assert found.spread is None


def test_the_spread_is_that_of_repeats() -> None:
    found = agreement({"a": [[1.0, 0.5], [0.5, 0.5]]})
    assert found.spread == pytest.approx(0.125)
    assert (found.cohen, found.fleiss, found.alpha) == ((), None, None)
