from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from fourfold.errors import InputError
from fourfold.evals.judge import rasch
from fourfold.evals.judge.rasch import _loss, _Rated, judge_severity

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


def simulate(seed: int, severity: dict[str, float], n_items: int) -> tuple[dict[str, list[int | None]], list[float]]:
    """Ratings drawn from the model itself, and each answer's ability."""
    rng = np.random.default_rng(seed)
    abilities = rng.normal(0, 1.5, size=n_items)
    steps = np.array([-1.2, -0.4, 0.4, 1.2])
    ratings: dict[str, list[int | None]] = {}
    for judge, hard in severity.items():
        scores = (abilities[:, None] - hard) * np.arange(5) - np.concatenate([[0], np.cumsum(steps)])
        chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        ratings[judge] = [int(rng.choice(5, p=row)) for row in chances]
    return ratings, abilities.tolist()


def test_severities_that_ratings_were_drawn_with_are_found() -> None:
    truth = {"kind": -1.0, "middle": 0.0, "strict": 1.0}
    ratings, _ = simulate(1, truth, 400)
    found = judge_severity(ratings, LEVELS)
    assert sum(found.severity.values()) == pytest.approx(0, abs=1e-9)
    for judge, value in truth.items():
        assert found.severity[judge] == pytest.approx(value, abs=0.25)


def test_fair_scores_do_not_hang_on_who_judged() -> None:
    ratings, abilities = simulate(2, {"kind": -1.5, "strict": 1.5, "other": 0.0}, 300)
    # The kind judge sees the first half alone, the strict one the second; `other` links them.
    ratings["kind"] = [level if at < 150 else None for at, level in enumerate(ratings["kind"])]
    ratings["strict"] = [None if at < 150 else level for at, level in enumerate(ratings["strict"])]
    found = judge_severity(ratings, LEVELS)
    assert all(value is not None for value in found.fair)
    raw = [np.mean([LEVELS[level] for own in ratings.values() if (level := own[at]) is not None]) for at in range(300)]
    fair = np.array([value for value in found.fair if value is not None])
    halves = np.array(abilities) > np.median(abilities)
    unfairness = np.mean(raw[:150]) - np.mean(raw[150:]), fair[:150].mean() - fair[150:].mean()
    assert abs(unfairness[1]) < abs(unfairness[0]) / 3
    assert fair[halves].mean() > fair[~halves].mean()


def test_the_gradient_is_that_of_the_likelihood() -> None:
    rng = np.random.default_rng(0)
    data = _Rated(
        item=rng.integers(0, 6, 30), judge=rng.integers(0, 3, 30), level=rng.integers(0, 4, 30),
        n_items=6, n_judges=3, n_steps=3,
    )  # fmt: skip
    x = rng.normal(size=8)
    numeric = optimize.approx_fprime(x, lambda at: _loss(at, data)[0], 1e-6)
    assert _loss(x, data)[1] == pytest.approx(numeric, abs=1e-4)


def test_one_rating_has_the_likelihood_worked_by_hand() -> None:
    # Two levels, ability N(0, 1), severity ±.5: P(level 1) is the mean of 1 / (1 + exp(.5 - z)) over the normal.
    one = np.zeros(1, dtype=np.int64)
    data = _Rated(item=one, judge=one, level=one + 1, n_items=1, n_judges=2, n_steps=1)
    z = np.linspace(-9, 9, 20_001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    expected = np.trapezoid(density / (1 + np.exp(0.5 - z)), z)
    loss, _ = _loss(np.array([0.0, 0.0, 0.5, -0.5, 0.0]), data)
    assert np.exp(-loss) == pytest.approx(expected, abs=1e-9)


def test_more_nodes_move_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings, _ = simulate(3, {"kind": -1.0, "strict": 1.0}, 100)
    few = judge_severity(ratings, LEVELS)
    monkeypatch.setattr(rasch, "_NODES", 62)
    assert few.severity["kind"] == pytest.approx(judge_severity(ratings, LEVELS).severity["kind"], abs=1e-3)


def test_an_answer_with_top_marks_throughout_keeps_a_finite_score() -> None:
    found = judge_severity({"a": [4, 4, 0, 2], "b": [4, 3, 0, 1]}, LEVELS)
    assert found.fair[0] is not None
    assert found.fair[1] is not None
    assert 0.5 < found.fair[1] < found.fair[0] < 1
    assert found.severity["b"] > found.severity["a"]


@pytest.mark.parametrize(
    ("ratings", "why"),
    [({"a": [1, 2]}, "one judge"), ({}, "one judge"), ({"a": [1, None], "b": [None, 2]}, "link")],
)
def test_without_a_link_there_is_no_severity(ratings: dict[str, list[int | None]], why: str) -> None:
    found = judge_severity(ratings, LEVELS)
    assert found.severity == {}
    assert found.reason is not None
    assert why in found.reason
    assert set(found.fair) <= {None}


def test_ratings_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(InputError):
        judge_severity({"a": [1], "b": [1, 2]}, LEVELS)
    with pytest.raises(InputError):
        judge_severity({"a": [5], "b": [1]}, LEVELS)
