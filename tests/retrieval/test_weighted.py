from __future__ import annotations

import math

import pytest

from fourfold.retrieval.weighted import CurvePoint, choose_weight, fuse_scores, weight_curve

DENSE = [("a", 0.9), ("b", 0.6), ("c", 0.5)]
BM25 = [("b", 12.0), ("d", 7.0), ("a", 2.0)]


def test_scores_worked_by_hand() -> None:
    # Scaled: dense a 1, b 1/4, c 0; BM25 b 1, d 1/2, a 0.
    found = fuse_scores([DENSE, BM25], weights=(0.6, 0.4))
    assert [item for item, _ in found] == ["a", "b", "d", "c"]
    assert [score for _, score in found] == pytest.approx([0.6, 0.55, 0.2, 0.0])


@pytest.mark.parametrize(("weights", "order"), [((1.0, 0.0), "abcd"), ((0.0, 1.0), "bdac")])
def test_a_weight_of_one_is_that_search_alone(weights: tuple[float, float], order: str) -> None:
    # What scores 0 keeps the place that the first ranking gave it.
    assert "".join(item for item, _ in fuse_scores([DENSE, BM25], weights=weights)) == order


def test_the_scale_and_zero_of_a_search_do_not_matter() -> None:
    moved = [(item, 3 * score - 100) for item, score in BM25]
    found, expected = (fuse_scores([DENSE, other], weights=(0.5, 0.5)) for other in (moved, BM25))
    assert [item for item, _ in found] == [item for item, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected])


def test_equal_scores_and_a_single_item_count_in_full() -> None:
    assert fuse_scores([[("a", 0.3)], [("b", 5.0), ("c", 5.0)]], weights=(0.4, 0.6)) == [
        ("b", 0.6), ("c", 0.6), ("a", 0.4)
    ]  # fmt: skip


def test_ties_go_to_the_better_rank_in_the_first_ranking() -> None:
    rankings = [[("a", 1.0), ("b", 0.0)], [("b", 1.0), ("a", 0.0)]]
    assert fuse_scores(rankings, weights=(0.5, 0.5)) == [("a", 0.5), ("b", 0.5)]
    assert fuse_scores(rankings[::-1], weights=(0.5, 0.5)) == [("b", 0.5), ("a", 0.5)]


def test_nothing_found_is_nothing_fused() -> None:
    assert fuse_scores([[], []], weights=(0.5, 0.5)) == []
    assert fuse_scores([[], [("b", 2.0), ("a", 1.0)]], weights=(0.5, 0.5)) == [("b", 0.5), ("a", 0.0)]


def test_a_repeated_item_and_a_missing_weight_are_refused() -> None:
    with pytest.raises(ValueError, match="ranking 1 repeats"):
        fuse_scores([DENSE, [("a", 1.0), ("a", 0.5)]], weights=(0.5, 0.5))
    with pytest.raises(ValueError, match="shorter"):
        fuse_scores([DENSE, BM25], weights=(0.5,))


def test_the_curve_is_the_mean_measure_of_each_weight() -> None:
    # The first question's answer is a, which the dense search puts first; the second's is b, BM25's first.
    wanted = ["a", "b"]

    def first(place: int, ranked: object) -> float:
        assert isinstance(ranked, list)
        return float(ranked[0] == wanted[place])

    curve = weight_curve([(DENSE, BM25), (DENSE, BM25)], first, weights=(0.0, 0.5, 1.0))
    assert [(point.dense_weight, point.mean) for point in curve] == [(0.0, 0.5), (0.5, 0.5), (1.0, 0.5)]
    curve = weight_curve([(DENSE, BM25)], first)
    assert len(curve) == 21
    # a leads once w > w/4 + (1 - w), that is from w = 4/7 on.
    assert [point.dense_weight for point in curve if point.mean == 1.0] == [step / 20 for step in range(12, 21)]
    assert choose_weight(curve) == 0.6
    with pytest.raises(ValueError, match="without questions"):
        weight_curve([], first)


def test_of_equal_weights_the_middle_one_is_chosen() -> None:
    curve = [CurvePoint(dense_weight=step / 10, mean=0.5) for step in range(11)]
    assert choose_weight(curve) == 0.5
    assert choose_weight([CurvePoint(dense_weight=w, mean=0.5) for w in (0.4, 0.6)]) == 0.4
    assert math.isclose(choose_weight([*curve, CurvePoint(dense_weight=0.95, mean=0.6)]), 0.95)
