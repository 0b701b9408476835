from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from fourfold.errors import InputError
from fourfold.evals.risk_coverage import risk_coverage


def curve(confidences: list[float], scores: list[float]) -> list[float]:
    return list(risk_coverage(confidences, scores, ["a"] * len(scores)).risk)


@pytest.mark.parametrize(
    ("confidences", "scores", "risk", "excess"),
    [
        ([-0.5], [1.0], [0], 0),
        ([-0.5], [0.25], [0.75], 0),
        # Right ones first: risk 0, 0, 1/3, 1/2; the best order.
        ([-1.0, -0.1, -3.0, -2.0], [1, 1, 0, 0], [0, 0, 1 / 3, 1 / 2], 0),
        # Wrong ones first: 1, 1, 2/3, 1/2, against 0, 0, 1/3, 1/2.
        ([-1.0, -0.1, -3.0, -2.0], [0, 0, 1, 1], [1, 1, 2 / 3, 1 / 2], 7 / 12),
        # All tied: the mean loss throughout.
        ([-1.0, -1.0, -1.0, -1.0], [0, 1, 1, 1], [1 / 4] * 4, 1 / 4 - 1 / 16),
        # First alone (loss 0), then two tied (losses 1 and 0): 0, 1/4, 1/3.
        ([-1.0, -2.0, -2.0], [1, 0, 1], [0, 1 / 4, 1 / 3], 7 / 36 - 1 / 9),
        # Losses between 0 and 1.
        ([-1.0, -2.0], [0.8, 0.4], [0.2, 0.4], 0),
    ],
)
def test_curves_worked_by_hand(confidences: list[float], scores: list[float], risk: list[float], excess: float) -> None:
    result = risk_coverage(confidences, scores, ["a"] * len(scores))
    assert result.risk == pytest.approx(risk)
    assert result.coverage == pytest.approx([(i + 1) / len(scores) for i in range(len(scores))])
    assert result.aurc.value == pytest.approx(sum(risk) / len(risk))
    assert result.excess == pytest.approx(excess, abs=1e-12)


def test_ties_are_averaged_over_all_their_orders() -> None:
    rng = random.Random(3)
    for _ in range(30):
        confidences = [float(rng.randrange(3)) for _ in range(5)]
        losses = [Fraction(rng.randrange(5), 4) for _ in range(5)]
        areas = []
        for order in itertools.permutations(range(5)):
            if all(confidences[a] >= confidences[b] for a, b in itertools.pairwise(order)):
                sums = itertools.accumulate(losses[i] for i in order)
                areas.append(sum((total / (i + 1) for i, total in enumerate(sums)), Fraction(0)) / 5)
        expected = float(sum(areas) / len(areas))
        assert np.mean(curve(confidences, [float(1 - loss) for loss in losses])) == pytest.approx(expected)


def test_only_the_order_of_confidence_counts() -> None:
    scores = [1.0, 0.0, 0.5, 1.0]
    confidences = [-0.3, -2.0, -0.1, -5.0]
    assert curve(confidences, scores) == curve([math.exp(c) for c in confidences], scores)


def test_the_order_of_questions_does_not_count() -> None:
    rng = random.Random(5)
    rows = [(float(rng.randrange(4)), rng.randrange(2) / 1, f"c{i % 3}") for i in range(20)]
    first = risk_coverage(*map(list, zip(*rows, strict=True)))  # type: ignore[arg-type]
    second = risk_coverage(*map(list, zip(*rows[::-1], strict=True)))  # type: ignore[arg-type]
    assert first.risk == pytest.approx(second.risk)
    assert first.aurc.se == pytest.approx(second.aurc.se)


def test_missing_confidences_and_scores_are_left_out_and_counted() -> None:
    result = risk_coverage([-1.0, None, -2.0, None, -3.0], [1, 0, None, None, 0], ["a", "a", "b", "b", "c"])
    assert result.risk == pytest.approx([0, 1 / 2])
    assert (result.n_without_confidence, result.n_without_score) == (1, 2)
    assert (result.aurc.n, result.aurc.n_missing, result.aurc.n_clusters) == (2, 3, 2)


@pytest.mark.parametrize("confidences", [[], [None, None]])
def test_without_a_question_there_is_no_area(confidences: list[float | None]) -> None:
    result = risk_coverage(confidences, [1.0] * len(confidences), ["a"] * len(confidences))
    assert result.aurc.value is result.aurc.low is result.excess is None
    assert result.aurc.reason == "no question has both a confidence and a score"
    assert result.risk == result.coverage == ()


def test_one_cluster_has_an_area_without_interval() -> None:
    result = risk_coverage([-1.0, -2.0], [1, 0], ["a", "a"]).aurc
    assert result.value == 1 / 4
    assert result.low is result.se is None
    assert "one cluster" in (result.reason or "")


def test_the_interval_is_the_jackknifes() -> None:
    confidences, scores, clusters = [-1.0, -2.0, -3.0], [1.0, 0.0, 1.0], ["a", "b", "c"]
    # Without a: (1 + 1/2) / 2; without b: 0; without c: (0 + 1/2) / 2.
    without = [3 / 4, 0, 1 / 4]
    se = math.sqrt(2 / 3 * sum((value - 1 / 3) ** 2 for value in without))
    area = (0 + 1 / 2 + 1 / 3) / 3
    half = se * stats.t.ppf(0.95, 2)
    result = risk_coverage(confidences, scores, clusters, level=0.9).aurc
    assert (result.value, result.se, result.dof) == (pytest.approx(area), pytest.approx(se), 2)
    assert (result.low, result.high) == (pytest.approx(area - half), pytest.approx(area + half))


def test_with_all_confidences_tied_the_standard_error_is_that_of_the_mean() -> None:
    scores = [float(i % 3 == 0) for i in range(12)]
    result = risk_coverage([-1.0] * 12, scores, [str(i) for i in range(12)]).aurc
    assert result.value == pytest.approx(1 - np.mean(scores))
    assert result.se == pytest.approx(stats.sem(scores))


def test_equal_losses_have_no_variation() -> None:
    result = risk_coverage([-1.0, -2.0, -3.0], [0.4, 0.4, 0.4], ["a", "b", "c"]).aurc
    assert result.low == result.high == result.value == pytest.approx(0.6)
    assert "no variation" in (result.reason or "")


def test_the_interval_covers_the_area_of_the_population() -> None:
    rng = np.random.default_rng(7)

    def draw(n_clusters: int) -> tuple[list[float], list[float], list[str]]:
        confidence = np.repeat(rng.normal(size=n_clusters), 5) + rng.normal(size=5 * n_clusters)
        right = rng.random(5 * n_clusters) < 1 / (1 + np.exp(-confidence))
        return confidence.tolist(), right.astype(float).tolist(), [str(i // 5) for i in range(5 * n_clusters)]

    confidences, scores, _ = draw(40_000)
    truth = risk_coverage(confidences, scores, ["all"] * len(scores)).aurc.value
    assert truth is not None
    covered = 0
    for _ in range(300):
        result = risk_coverage(*draw(12)).aurc
        assert result.low is not None
        assert result.high is not None
        covered += result.low <= truth <= result.high
    # 95% ± 3 standard errors of 300 draws (1.26 points each).
    assert 0.91 <= covered / 300 <= 0.99


@pytest.mark.parametrize(
    ("confidences", "scores", "clusters", "what"),
    [
        ([math.nan], [1.0], ["a"], "confidence"),
        ([-math.inf], [1.0], ["a"], "confidence"),
        ([-1.0], [math.nan], ["a"], "loss"),
        ([-1.0], [1.5], ["a"], "loss"),
        ([-1.0], [-0.5], ["a"], "loss"),
        ([-1.0], [], ["a"], "match"),
        ([-1.0], [1.0], [], "match"),
    ],
)
def test_wrong_input_is_refused(confidences: list[float], scores: list[float], clusters: list[str], what: str) -> None:
    with pytest.raises(InputError, match=what):
        risk_coverage(confidences, scores, clusters)


def test_a_wrong_level_is_refused() -> None:
    with pytest.raises(InputError, match="level"):
        risk_coverage([-1.0], [1.0], ["a"], level=95)
