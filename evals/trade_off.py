"""What a verdict leaves open: which arms no other beats on both quality and cost, and how weights turn the ranking.

Descriptive: point estimates, no tests. The verdict alone says what is shown.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from fourfold.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """`best` has the highest weighted score for weights of cost from `low` to `high`, both in [0, 1]."""

    best: str
    low: float
    high: float


def pareto_front(quality: Mapping[str, float], cost: Mapping[str, float]) -> tuple[str, ...]:
    """The arms that no other arm matches on both and beats on one, cheapest first.

    Args:
        quality: per arm, higher is better.
        cost: per arm, lower is better; the same arms.

    Raises:
        InputError: the arms differ.
    """
    _check(quality, cost)

    def beaten(arm: str) -> bool:
        return any(
            quality[other] >= quality[arm]
            and cost[other] <= cost[arm]
            and (quality[other], cost[other]) != (quality[arm], cost[arm])
            for other in quality
        )

    return tuple(sorted((arm for arm in quality if not beaten(arm)), key=lambda arm: (cost[arm], -quality[arm])))


def weight_flips(quality: Mapping[str, float], cost: Mapping[str, float]) -> tuple[Flip, ...]:
    """Which arm is best as the weight w of cost goes from 0 to 1.

    The score is (1 − w) × quality − w × cost / (highest cost): both parts in [0, 1] for qualities there. It is linear
    in w, so the best arm changes only where two arms' lines cross, and the ranges are exact. Ties go to the arm named
    first.

    Args:
        quality: per arm, in [0, 1].
        cost: per arm, at least 0; the same arms.

    Returns:
        Ranges in the order of w, together [0, 1].

    Raises:
        InputError: the arms differ, or there is none.
    """
    _check(quality, cost)
    highest = max(cost.values()) or 1.0
    share = {arm: cost[arm] / highest for arm in cost}
    # Arm a's line meets arm b's where (1 − w) q_a − w s_a = (1 − w) q_b − w s_b.
    borders = {0.0, 1.0}
    for a in quality:
        for b in quality:
            gain, price = quality[a] - quality[b], share[a] - share[b]
            if gain + price != 0 and 0 < gain / (gain + price) < 1:
                borders.add(gain / (gain + price))
    found: list[Flip] = []
    ordered = sorted(borders)
    for low, high in itertools.pairwise(ordered):
        middle = (low + high) / 2
        best = max(quality, key=lambda arm: (1 - middle) * quality[arm] - middle * share[arm])
        if found and found[-1].best == best:
            found[-1] = Flip(best=best, low=found[-1].low, high=high)
        else:
            found.append(Flip(best=best, low=low, high=high))
    return tuple(found)


def _check(quality: Mapping[str, float], cost: Mapping[str, float]) -> None:
    if not quality or quality.keys() != cost.keys():
        raise InputError(
            "quality and cost are of different arms",
            seen=f"{', '.join(quality) or 'none'} against {', '.join(cost) or 'none'}",
            expected="the same arms, at least one",
            hint="give both for every arm that has answered",
        )
