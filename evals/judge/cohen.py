"""Cohen's kappa: agreement of two raters beyond what their habits alone would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from fourfold.errors import InputError

UNDEFINED = "both raters name one and the same category throughout: agreement beyond chance is undefined"


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> float | None:
    """Unweighted kappa = (p_o - p_e) / (1 - p_e), p_e from each rater's own shares.

    Source: Cohen 1960, Educational and Psychological Measurement 20(1).

    Args:
        a: one rater's category per item.
        b: the other's, of the same items.

    Returns:
        At most 1; None where there is no item, or chance agreement is certain.

    Raises:
        InputError: lengths differ.
    """
    if len(a) != len(b):
        raise InputError(
            "two raters did not rate the same items",
            seen=f"{len(a)} and {len(b)} ratings",
            expected="one rating of each per item",
            hint="leave out the items that one of them did not rate",
        )
    n = len(a)
    if n == 0:
        return None
    of_a, of_b = Counter(a), Counter(b)
    # In whole numbers, so that certain chance agreement is told exactly.
    by_chance = sum(of_a[category] * of_b[category] for category in of_a)
    if by_chance == n * n:
        return None
    agreed = sum(x == y for x, y in zip(a, b, strict=True))
    return (n * agreed - by_chance) / (n * n - by_chance)
