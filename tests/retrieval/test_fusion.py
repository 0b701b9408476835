from __future__ import annotations

import itertools

import pytest

from fourfold.retrieval.fusion import fuse_ranks

PLACES = (1, 2, 7)


def test_scores_worked_by_hand() -> None:
    # a: 1/61 + 1/63, b: 1/62 + 1/61, c: 1/63, d: 1/62.
    found = fuse_ranks([["a", "b", "c"], ["b", "d", "a"]], constant=60)
    assert [item for item, _ in found] == ["b", "a", "d", "c"]
    assert [score for _, score in found] == pytest.approx([1 / 62 + 1 / 61, 1 / 61 + 1 / 63, 1 / 62, 1 / 63])


def test_an_item_of_both_rankings_comes_once_before_any_of_one() -> None:
    found = fuse_ranks([["a", "b", "x"], ["c", "d", "x"]], constant=60)
    assert [item for item, _ in found] == ["x", "a", "c", "b", "d"]


def test_a_small_constant_favours_first_places() -> None:
    rankings = [["a", "x"], ["c", "x"]]
    assert fuse_ranks(rankings, constant=1)[0] == ("x", pytest.approx(2 / 3))
    assert [item for item, _ in fuse_ranks([["a", "b", "x"], ["c", "d", "x"]], constant=1)] == list("axcbd")


def test_ties_go_to_the_better_rank_in_the_first_ranking() -> None:
    assert [item for item, _ in fuse_ranks([["a", "b"], ["b", "a"]], constant=60)] == ["a", "b"]
    assert [item for item, _ in fuse_ranks([["b", "a"], ["a", "b"]], constant=60)] == ["b", "a"]
    assert [item for item, _ in fuse_ranks([["z"], ["a"]], constant=60)] == ["z", "a"]
    assert [item for item, _ in fuse_ranks([[], ["b"], ["a"]], constant=60)] == ["b", "a"]


def _placed(ranks: tuple[int, ...]) -> list[list[str]]:
    """Rankings in which 'x' has these ranks."""
    return [[*(f"{number}/{rank}" for rank in range(1, place)), "x"] for number, place in enumerate(ranks)]


def test_a_score_is_the_same_in_whichever_order_the_ranks_stand() -> None:
    orders = list(itertools.permutations(PLACES))
    # Added from left to right their last bit depends on the order.
    assert len({sum(1 / (60 + rank) for rank in order) for order in orders}) > 1
    assert len({dict(fuse_ranks(_placed(order), constant=60))["x"] for order in orders}) == 1


@pytest.mark.parametrize("rankings", [[], [[]], [[], []]])
def test_nothing_found_is_nothing_fused(rankings: list[list[str]]) -> None:
    assert fuse_ranks(rankings, constant=60) == []


def test_one_ranking_keeps_its_order() -> None:
    assert fuse_ranks([["c", "a", "b"], []], constant=60) == [("c", 1 / 61), ("a", 1 / 62), ("b", 1 / 63)]


def test_a_ranking_that_repeats_an_item_is_refused() -> None:
    with pytest.raises(ValueError, match="ranking 1 repeats"):
        fuse_ranks([["a", "b"], ["a", "b", "a"]], constant=60)
