"""What a statistic returns: a number with its interval, or a p-value; undefined is None with a reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean with its interval.

    A field that cannot be computed is None, never 0 and never NaN, and `reason` says why. `reason` also stands
    beside a degenerate interval (`low == high`, "no variation"); it is None everywhere else.

    Args:
        value: the point estimate, in the unit of the values.
        low: lower end of the interval, same unit.
        high: upper end of the interval, same unit.
        se: standard error, same unit, at least 0.
        dof: degrees of freedom of the t interval; None where the method has none.
        n: values used.
        n_missing: values left out because they were None.
        n_clusters: clusters with at least one value used.
        method: how the interval was made, in words for the report.
        reason: why something is None or degenerate.
    """

    value: float | None
    low: float | None
    high: float | None
    se: float | None
    dof: float | None
    n: int
    n_missing: int
    n_clusters: int
    method: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PValue:
    """A p-value.

    Args:
        value: in [0, 1]; None exactly where the test is undefined.
        n: values used.
        n_missing: values left out because they were None.
        n_clusters: clusters with at least one value used.
        method: the test, in words for the report.
        reason: why `value` is None, or why it comes without a test statistic ("no variation").
    """

    value: float | None
    n: int
    n_missing: int
    n_clusters: int
    method: str
    reason: str | None
