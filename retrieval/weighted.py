"""Weighted fusion of scores, and how its weight is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item", bound=Hashable)
Scored = Sequence[tuple[Item, float]]

WEIGHTS = tuple(step / 20 for step in range(21))


def fuse_scores(rankings: Sequence[Scored[Item]], *, weights: Sequence[float]) -> list[tuple[Item, float]]:
    """Fuse rankings by their scores, each scaled to [0, 1] over its own items.

    score(d) = Σ over rankings of weight × (s(d) − least s) / (greatest s − least s); an item that a ranking does not
    hold gets 0 from it, which is what its last item gets: nothing is known of it but that it scores no higher. All
    items of a ranking whose scores are equal get 1.
    Source: the convex combination of min–max scaled scores of Bruch, Gai & Ingber 2023, An Analysis of Fusion Functions
    for Hybrid Retrieval, eq. 2–4; they also score what one of the searches did not return, which costs another search.

    Args:
        rankings: items with finite scores, best first; an item stands in each at most once.
        weights: one a ranking, each in [0, 1].

    Returns:
        Items with their scores, best first. Ties go to the better rank in the first ranking that holds either, then
        onwards.

    Raises:
        ValueError: a ranking repeats an item, or there is not one weight for each.
    """
    absent = 1 + max((len(ranking) for ranking in rankings), default=0)
    ranks: dict[Item, list[int]] = {}
    parts: dict[Item, list[float]] = {}
    for number, (ranking, weight) in enumerate(zip(rankings, weights, strict=True)):
        if len({item for item, _ in ranking}) < len(ranking):
            raise ValueError(f"ranking {number} repeats an item")
        scores = [score for _, score in ranking]
        least, width = min(scores, default=0.0), max(scores, default=0.0) - min(scores, default=0.0)
        for rank, (item, score) in enumerate(ranking, start=1):
            ranks.setdefault(item, [absent] * len(rankings))[number] = rank
            parts.setdefault(item, []).append(weight * ((score - least) / width if width else 1.0))
    fused = {item: math.fsum(own) for item, own in parts.items()}
    return sorted(fused.items(), key=lambda pair: (-pair[1], ranks[pair[0]]))


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """What a weight of the dense search (BM25 has the rest) reaches: the mean measure over the questions."""

    dense_weight: float
    mean: float


def weight_curve(
    questions: Sequence[tuple[Scored[Item], Scored[Item]]],
    measure: Callable[[int, Sequence[Item]], float],
    *,
    weights: Sequence[float] = WEIGHTS,
) -> tuple[CurvePoint, ...]:
    """The measure of each weight on questions that nothing is tested on.

    Args:
        questions: per question what the dense search and BM25 found, with scores, best first.
        measure: of a question's fused ranking, given the question's place; higher is better.
        weights: of the dense search.

    Raises:
        ValueError: no questions.
    """
    if not questions:
        raise ValueError("a weight cannot be chosen without questions")
    curve = []
    for weight in weights:
        fused = [fuse_scores(pair, weights=(weight, 1 - weight)) for pair in questions]
        values = [measure(place, [item for item, _ in ranking]) for place, ranking in enumerate(fused)]
        curve.append(CurvePoint(dense_weight=weight, mean=math.fsum(values) / len(values)))
    return tuple(curve)


def choose_weight(curve: Sequence[CurvePoint]) -> float:
    """The weight of the best mean; of several the one nearest to .5, then the smaller."""
    best = max(curve, key=lambda point: (point.mean, -abs(point.dense_weight - 0.5), -point.dense_weight))
    return best.dense_weight
