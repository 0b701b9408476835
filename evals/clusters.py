"""Which cluster a question belongs to (fairness rule 8), and the sums by cluster that every statistic works on.

Questions on one document rise and fall together, so the cluster, not the question, is the independent unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from fourfold.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MANY_CLUSTERS = 30
# The percentile bootstrap by cluster covered .49 / .80 / .90 / .925 at 2 / 4 / 10 / 20 clusters (DESIGN, rule 8).

SAME = 1e-12
# Relative: sums of a few thousand scores in double precision differ by less when they are the same number.

SECTION_SEPARATOR = "\x1f"
# The unit separator stands in no title a person types, so that two sections cannot fall into one cluster.


def choose_clusters(
    documents: Sequence[str], sections: Sequence[str]
) -> tuple[Literal["document", "section"], list[str]]:
    """Chooses the cluster of every question: its document if there are at least 30, else its section.

    Args:
        documents: one document per question.
        sections: one section per question; the same name in two documents is two sections.

    Returns:
        The kind of cluster, and one cluster per question in the order given.

    Raises:
        InputError: the two differ in length.
    """
    if len(documents) != len(sections):
        raise InputError(
            "documents and sections do not match",
            seen=f"{len(documents)} documents, {len(sections)} sections",
            expected="one document and one section per question",
            hint="take both from the same list of questions",
        )
    if len(set(documents)) >= MANY_CLUSTERS:
        return "document", list(documents)
    pairs = zip(documents, sections, strict=True)
    return "section", [f"{document}{SECTION_SEPARATOR}{section}" for document, section in pairs]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterSums:
    """Values added up within their clusters, clusters in alphabetical order.

    Args:
        sums: float64 [G], the sum of each cluster's values.
        counts: float64 [G], how many values each cluster has, at least 1.
        n: values used.
        n_missing: values that were None.
        lowest: the lowest value; None where there is none.
        highest: the highest value; None where there is none.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.float64]
    n: int
    n_missing: int
    lowest: float | None
    highest: float | None

    @property
    def n_clusters(self) -> int:
        """Clusters with at least one value."""
        return len(self.counts)

    @property
    def mean(self) -> float | None:
        """Mean of the values; None where there is none. Equal values give their value, free of rounding."""
        if self.lowest is None:
            return None
        return self.lowest if self.constant else float(self.sums.sum() / self.n)

    @property
    def constant(self) -> bool:
        """Whether there is at least one value and all are the same."""
        if self.lowest is None or self.highest is None:
            return False
        return math.isclose(self.lowest, self.highest, rel_tol=SAME)

    @property
    def scale(self) -> float:
        """The largest absolute value, what rounding errors are measured against; 0 where there is none."""
        return max(abs(self.lowest or 0.0), abs(self.highest or 0.0))


def sum_by_cluster(values: Sequence[float | None], clusters: Sequence[str]) -> ClusterSums:
    """Adds the values up by cluster, counting the missing ones.

    Args:
        values: one value per question, None where it is missing.
        clusters: one cluster per question.

    Returns:
        Sums and counts of the clusters that have a value; a cluster whose values are all missing is none.

    Raises:
        InputError: the two differ in length, or a value is NaN or infinite.
    """
    if len(values) != len(clusters):
        raise InputError(
            "values and clusters do not match",
            seen=f"{len(values)} values, {len(clusters)} clusters",
            expected="one cluster per value",
            hint="take both from the same list of questions",
        )
    kept = [(float(value), cluster) for value, cluster in zip(values, clusters, strict=True) if value is not None]
    for value, cluster in kept:
        if not math.isfinite(value):
            raise InputError(
                "a value is not a number",
                seen=f"{value} in cluster {cluster!r}",
                expected="a finite number, or None for a missing one",
                hint="give None where a score is undefined",
            )
    present = {cluster: place for place, cluster in enumerate(sorted({cluster for _, cluster in kept}))}
    numbers = np.array([value for value, _ in kept], dtype=np.float64)
    places = np.array([present[cluster] for _, cluster in kept], dtype=np.intp)
    return ClusterSums(
        sums=np.bincount(places, weights=numbers, minlength=len(present)).astype(np.float64),
        counts=np.bincount(places, minlength=len(present)).astype(np.float64),
        n=len(kept),
        n_missing=len(values) - len(kept),
        lowest=float(numbers.min()) if kept else None,
        highest=float(numbers.max()) if kept else None,
    )
