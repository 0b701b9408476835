"""Fleiss' kappa: agreement of several raters beyond chance, each item rated by as many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from fourfold.errors import InputError


def fleiss_kappa(ratings: Sequence[Sequence[Hashable]]) -> float | None:
    """Kappa = (P - P_e) / (1 - P_e), P the mean share of agreeing pairs of raters, P_e from the shares of all ratings.

    Source: Fleiss 1971, Psychological Bulletin 76(5), equations 1 to 7.

    Args:
        ratings: per item, every rater's category; the same number, at least 2, for each item.

    Returns:
        At most 1; None where there is no item, or every rating is the same.

    Raises:
        InputError: an item has fewer than two ratings, or another number of them than the first.
    """
    if not ratings:
        return None
    n_raters = len(ratings[0])
    if n_raters < 2 or any(len(of_item) != n_raters for of_item in ratings):
        raise InputError(
            "Fleiss' kappa needs as many ratings of every item",
            seen=f"{sorted({len(of_item) for of_item in ratings})} ratings an item",
            expected="the same number, at least 2",
            hint="use Krippendorff's alpha, which takes missing ratings",
        )
    counts = [Counter(of_item) for of_item in ratings]
    pairs = n_raters * (n_raters - 1)
    agreed = sum(sum(n * (n - 1) for n in count.values()) for count in counts) / (pairs * len(ratings))
    totals = Counter(category for of_item in ratings for category in of_item)
    if len(totals) == 1:
        return None
    by_chance = sum((n / (n_raters * len(ratings))) ** 2 for n in totals.values())
    return (agreed - by_chance) / (1 - by_chance)
