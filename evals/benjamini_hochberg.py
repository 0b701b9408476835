"""Benjamini-Hochberg's step-up correction: the false discovery rate of the comparisons outside the verdict.

Source: Benjamini & Hochberg 1995, JRSS B 57(1). It holds the expected share of false ones among the rejections, under
independent tests and under positive dependence (Benjamini & Yekutieli 2001, Annals of Statistics 29(4), theorem 1.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy import stats

from fourfold.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values: rejecting where they are at most q holds the false discovery rate at q.

    A test without a p-value counts as one of p = 1 and stays without, as in `holm`: leaving it out would make the
    rest easier just because something could not be tested.

    Args:
        p_values: in [0, 1], None where a test is undefined.

    Returns:
        One adjusted p per test, in the order given.

    Raises:
        InputError: a p-value is NaN or outside [0, 1].
    """
    for place, p in enumerate(p_values):
        if p is not None and not 0 <= p <= 1:
            raise InputError(
                "a p-value is wrong",
                seen=f"{p} at position {place}",
                expected="a number from 0 to 1, or None for an undefined test",
                hint="check the test that made it",
            )
    if not p_values:
        return []
    adjusted = stats.false_discovery_control([1.0 if p is None else p for p in p_values], method="bh")
    return [None if p is None else float(q) for p, q in zip(p_values, adjusted, strict=True)]
