"""Holm's step-down correction for several tests.

Source: Holm 1979, Scandinavian Journal of Statistics 6(2). It holds the chance of any false rejection under any
dependence of the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourfold.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values: a test is rejected at level alpha where its adjusted p is at most alpha.

    The k-th smallest of m is multiplied by m - k + 1, raised to its predecessor's where it falls below, capped at 1.
    A test without a p-value counts in m, stands behind all others and stays without: leaving it out would make
    the rest easier just because something could not be tested.

    Args:
        p_values: in [0, 1], None where a test is undefined.

    Returns:
        One adjusted p per test, in the order given.

    Raises:
        InputError: a p-value is NaN or outside [0, 1].
    """
    adjusted: list[float | None] = [None] * len(p_values)
    tests: list[tuple[float, int]] = []
    for place, p in enumerate(p_values):
        if p is None:
            continue
        if not 0 <= p <= 1:
            raise InputError(
                "a p-value is wrong",
                seen=f"{p} at position {place}",
                expected="a number from 0 to 1, or None for an undefined test",
                hint="check the test that made it",
            )
        tests.append((p, place))
    highest = 0.0
    for rank, (p, place) in enumerate(sorted(tests)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p))
        adjusted[place] = highest
    return adjusted
