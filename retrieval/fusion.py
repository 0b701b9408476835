"""Reciprocal-rank fusion."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TypeVar

Item = TypeVar("Item", bound=Hashable)


def fuse_ranks(rankings: Sequence[Sequence[Item]], *, constant: int) -> list[tuple[Item, float]]:
    """Fuse rankings, best first.

    score(d) = Σ over rankings of 1 / (constant + rank of d), ranks from 1; absent items add nothing.
    Source: Cormack, Clarke & Büttcher 2009, eq. 1 (constant 60 there).

    Args:
        rankings: each best first; an item has one place in each.
        constant: at least 1; larger values flatten the advantage of first places.

    Returns:
        Items with their scores. Ties go to the better rank in the first ranking that holds either, then onwards.

    Raises:
        ValueError: a ranking repeats an item.
    """
    ranks: dict[Item, list[int]] = {}
    absent = 1 + max((len(ranking) for ranking in rankings), default=0)
    for number, ranking in enumerate(rankings):
        if len(set(ranking)) < len(ranking):
            raise ValueError(f"ranking {number} repeats an item")
        for rank, item in enumerate(ranking, start=1):
            ranks.setdefault(item, [absent] * len(rankings))[number] = rank
    # fsum rounds once, so that the order of the rankings cannot part what ties.
    scores = {item: math.fsum(1 / (constant + rank) for rank in own if rank < absent) for item, own in ranks.items()}
    return sorted(scores.items(), key=lambda pair: (-pair[1], ranks[pair[0]]))
