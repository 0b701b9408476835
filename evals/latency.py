"""How long an arm lets one person wait: p50 and p95 of the latency pass, one request at a time (fairness rule 7).

Rows of the throughput pass (several requests at once) are left out: they say what a query costs, not how long it takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from fourfold.errors import InputError
from fourfold.evals.estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fourfold.types import Latency

MIN_QUESTIONS = 30
# The floor: under it a p95 is one of the two slowest answers.


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmLatency:
    """One arm's waiting times, seconds.

    Args:
        arm: its name.
        p50: the median, from the question's text to the answer's.
        p95: the 95th percentile of the same.
        retrieval_p50: the median of the part that is retrieval; None-valued with a reason for an arm without it.
    """

    arm: str
    p50: Estimate
    p95: Estimate
    retrieval_p50: Estimate


def arm_latencies(rows: Iterable[Latency], *, level: float = 0.95) -> tuple[ArmLatency, ...]:
    """Waiting times of every arm in the rows, arms in the order in which they first stand there.

    Args:
        rows: of the latency stage; those with a concurrency over 1 are not looked at.
        level: coverage of the intervals, in (0, 1).

    Returns:
        One entry per arm, none without rows.

    Raises:
        InputError: a time is negative, NaN or infinite, or `level` is outside (0, 1).
    """
    by_arm: dict[str, list[Latency]] = {}
    for row in rows:
        if row.concurrency == 1:
            by_arm.setdefault(row.arm, []).append(row)
    return tuple(
        ArmLatency(
            arm=arm,
            p50=quantile([row.seconds for row in own], 0.5, level=level),
            p95=quantile([row.seconds for row in own], 0.95, level=level),
            retrieval_p50=_retrieval(own, level=level),
        )
        for arm, own in by_arm.items()
    )


def quantile(values: Sequence[float | None], q: float, *, level: float = 0.95) -> Estimate:
    """A quantile with its distribution-free interval.

    The point is NumPy's `median_unbiased` quantile: type 8 of Hyndman & Fan 1996, The American Statistician 50(4),
    which they recommend, for it is about median-unbiased whatever the distribution (NumPy's default, type 7, puts the
    p95 of 30 values lower). The interval runs between two order statistics (Conover 1999, Practical Nonparametric
    Statistics, section 3.2; SciPy's `quantile_test`) and covers at least `level` for independent values of any
    distribution. Times of questions are taken as independent: each is measured by itself, in a drawn order.

    Args:
        values: times, seconds, None for a request that failed.
        q: in (0, 1).
        level: coverage, in (0, 1).

    Returns:
        The estimate, without standard error or degrees of freedom, each value its own cluster. Under 30 values all is
        None. An end for which there is no order statistic far enough out is None (p95 has no upper end under 72 values
        at .95). The reason says which.

    Raises:
        InputError: a value is negative, NaN or infinite, or `level` is outside (0, 1).
    """
    kept = _checked(values, level)
    bare = Estimate(
        value=None, low=None, high=None, se=None, dof=None, n=len(kept), n_missing=len(values) - len(kept),
        n_clusters=len(kept), method=f"median-unbiased quantile, order-statistic interval, {level:.0%}",
        reason=f"{len(kept)} answered requests: at least {MIN_QUESTIONS} are needed",
    )  # fmt: skip
    if len(kept) < MIN_QUESTIONS:
        return bare
    value = float(np.quantile(kept, q, method="median_unbiased"))
    interval = stats.quantile_test(kept, q=value, p=q).confidence_interval(confidence_level=level)
    low, high = (None if math.isnan(end) else float(end) for end in (interval.low, interval.high))
    open_ends = [name for name, end in (("lower", low), ("upper", high)) if end is None]
    return Estimate(
        value=value, low=low, high=high, se=None, dof=None, n=bare.n, n_missing=bare.n_missing,
        n_clusters=bare.n_clusters, method=bare.method,
        reason=f"no {' and no '.join(open_ends)} end: too few requests for this quantile" if open_ends else None,
    )  # fmt: skip


def _retrieval(rows: Sequence[Latency], *, level: float) -> Estimate:
    times = [row.retrieval_seconds for row in rows]
    found = quantile(times, 0.5, level=level)
    if any(time is not None for time in times):
        return found
    return Estimate(
        value=None, low=None, high=None, se=None, dof=None, n=0, n_missing=len(rows), n_clusters=0,
        method=found.method, reason="no retrieval",
    )  # fmt: skip


def _checked(values: Sequence[float | None], level: float) -> list[float]:
    if not 0 < level < 1:
        raise InputError(
            "the level of an interval is wrong", seen=level, expected="a number between 0 and 1", hint="0.95 is usual"
        )
    kept = [value for value in values if value is not None]
    for value in kept:
        if not (math.isfinite(value) and value >= 0):
            raise InputError(
                "a time is wrong",
                seen=value,
                expected="finite seconds, at least 0, or None for a request that failed",
                hint="remove the latency result and run the study again",
            )
    return kept
