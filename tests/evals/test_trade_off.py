from __future__ import annotations

import numpy as np
import pytest

from fourfold.errors import InputError
from fourfold.evals.trade_off import Flip, pareto_front, weight_flips


@pytest.mark.parametrize(
    ("quality", "cost", "front"),
    [
        ({"a": 0.1, "b": 0.5, "c": 0.4}, {"a": 1, "b": 2, "c": 3}, ("a", "b")),
        ({"a": 0.5, "b": 0.5}, {"a": 2, "b": 1}, ("b",)),
        ({"a": 0.5, "b": 0.5}, {"a": 1, "b": 1}, ("a", "b")),
        ({"a": 0.5, "b": 0.6}, {"a": 1, "b": 1}, ("b",)),
        ({"a": 0.0}, {"a": 0.0}, ("a",)),
    ],
)
def test_the_front_holds_the_arms_that_none_matches_on_both_and_beats_on_one(
    quality: dict[str, float], cost: dict[str, float], front: tuple[str, ...]
) -> None:
    assert pareto_front(quality, cost) == front


def test_the_best_arm_changes_where_the_lines_cross() -> None:
    # (1 − w) .2 − w .25 = (1 − w) .6 − w 1 at w = .4 / 1.15.
    border = 0.4 / 1.15
    assert weight_flips({"base": 0.2, "rag": 0.6}, {"base": 50, "rag": 200}) == (
        Flip(best="rag", low=0.0, high=pytest.approx(border)),
        Flip(best="base", low=pytest.approx(border), high=1.0),
    )


def test_the_ranges_agree_with_a_search_over_weights() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        arms = list("abcde")
        quality = dict(zip(arms, rng.random(5), strict=True))
        cost = dict(zip(arms, rng.random(5), strict=True))
        flips = weight_flips(quality, cost)
        assert (flips[0].low, flips[-1].high) == (0.0, 1.0)
        for weight in np.linspace(0.003, 0.997, 40):
            score = {arm: (1 - weight) * quality[arm] - weight * cost[arm] / max(cost.values()) for arm in arms}
            (flip,) = [flip for flip in flips if flip.low < weight < flip.high]
            assert flip.best == max(score, key=lambda arm: score[arm])


def test_arms_without_cost_are_ranked_by_quality_alone() -> None:
    assert weight_flips({"a": 0.1, "b": 0.2}, {"a": 0, "b": 0}) == (Flip(best="b", low=0.0, high=1.0),)


def test_different_arms_are_refused() -> None:
    with pytest.raises(InputError, match="of different arms"):
        pareto_front({"a": 1.0}, {"b": 1.0})
