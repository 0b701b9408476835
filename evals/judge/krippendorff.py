"""Krippendorff's alpha: agreement of any number of raters beyond chance, with ratings missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scale = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(ratings: Sequence[Sequence[float | None]], *, scale: Scale) -> float | None:
    """Alpha = 1 - D_o / D_e, observed over expected disagreement of paired ratings.

    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", sections C to E (coincidence matrix, and
    the difference functions of nominal, ordinal and interval data).

    Args:
        ratings: per item, every rater's value; None where a rater gave none. Items with fewer than two are left out.
        scale: how far apart two values are: not at all or wholly, by the ratings between them, or by their difference.

    Returns:
        At most 1; None where no item has two ratings, or all paired ratings are the same.
    """
    items = [[value for value in of_item if value is not None] for of_item in ratings]
    paired = [of_item for of_item in items if len(of_item) > 1]
    values = sorted({value for of_item in paired for value in of_item})
    if len(values) < 2:
        return None
    place = {value: at for at, value in enumerate(values)}
    coincidences = np.zeros((len(values), len(values)))
    for of_item in paired:
        counts = np.bincount([place[value] for value in of_item], minlength=len(values)).astype(np.float64)
        coincidences += (np.outer(counts, counts) - np.diag(counts)) / (len(of_item) - 1)
    totals = coincidences.sum(axis=1)
    apart = _differences(np.array(values), totals, scale)
    observed = float((coincidences * apart).sum())
    expected = float(((np.outer(totals, totals) - np.diag(totals)) * apart).sum()) / float(totals.sum() - 1)
    return float(1 - observed / expected)


def _differences(values: NDArray[np.float64], totals: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """float64 [V, V]: the squared difference of each two values."""
    if scale == "nominal":
        return 1.0 - np.eye(len(values))
    if scale == "interval":
        apart: NDArray[np.float64] = (values[:, None] - values[None, :]) ** 2
        return apart
    # Ratings up to and including each value, half of its own: the difference counts what lies between.
    ranks = np.cumsum(totals) - totals / 2
    between: NDArray[np.float64] = (ranks[:, None] - ranks[None, :]) ** 2
    return between
