"""How many questions a planted truth needs: exact standard errors and power of the verdict's tests.

The variance of a paired difference follows from the probability that two arms (or one arm twice) both state two facts:
bivariate normal, at the correlation that the two facts have in common.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special, stats
from support.planted import ARMS, N_FACTS, PROMPT_TOKENS, SPREAD, Case, section_sizes

from fourfold.evals.cluster_robust import satterthwaite_dof
from fourfold.types import Arm

LEVEL, POWER = 0.05, 0.8
N_TESTS = 2 * len(ARMS) * (len(ARMS) - 1)
# Both one-sided tests of every ordered pair; LEVEL / N_TESTS is Holm's strictest step.


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much a test set of `n_sections` can show.

    Args:
        n_sections: clusters.
        n: questions.
        detectable: the largest, over the pairs a decision rests on, smallest difference from a test's border that is
            shown with a chance of 80% at Holm's strictest level, in recall.
        predicted: lower bound of the chance of the right verdict: 1 less the chances, by Bonferroni's inequality, that
            one of the tests it rests on fails at Holm's strictest level; 0 where that is negative.
    """

    n_sections: int
    n: int
    detectable: float
    predicted: float


def plan(case: Case, *, margin: float, predicted: float = 0.95) -> Size:
    """The smallest size (in whole dozens of sections) that detects half the planted effect and is `predicted` right."""
    half = math.inf if case.effect is None else case.effect / 2
    sizes = (size_of(case, n_sections, margin=margin) for n_sections in range(12, 6000, 12))
    return next(size for size in sizes if size.detectable <= half and size.predicted >= predicted)


def size_of(case: Case, n_sections: int, *, margin: float) -> Size:
    """What `n_sections` can show of `case`."""
    counts = np.array(section_sizes(n_sections), dtype=np.float64)
    dof = satterthwaite_dof(counts)
    critical = float(special.stdtrit(dof, 1 - LEVEL / N_TESTS))
    detectable, missed = 0.0, 0.0
    for a, b, distance in _tests_needed(case, margin=margin):
        se = standard_error(case, a, b, n_sections)
        detectable = max(detectable, (critical + float(special.stdtrit(dof, POWER))) * se)
        missed += float(stats.nct.cdf(critical, dof, distance / se))
    return Size(n_sections=n_sections, n=int(counts.sum()), detectable=detectable, predicted=max(0.0, 1.0 - missed))


def _tests_needed(case: Case, *, margin: float) -> Iterator[tuple[Arm, Arm, float]]:
    """The pairs a right verdict rests on, with the true difference's distance from the test's border.

    The winner is shown not worse than every other arm, and better than each cheaper one by more than the margin.
    """
    best = case.recall[case.winner]
    for arm in ARMS:
        if arm == case.winner:
            continue
        yield case.winner, arm, best - case.recall[arm] + margin
        if PROMPT_TOKENS[arm] < PROMPT_TOKENS[case.winner]:
            yield case.winner, arm, best - case.recall[arm] - margin


def standard_error(case: Case, a: Arm, b: Arm, n_sections: int) -> float:
    """True standard error of the mean paired difference a - b of `n_sections` sections."""
    counts = np.array(section_sizes(n_sections), dtype=np.float64)
    variance, covariance = difference_moments(case, a, b)
    total = float((counts * variance + counts * (counts - 1) * covariance).sum())
    return math.sqrt(total) / float(counts.sum())


def difference_moments(case: Case, a: Arm, b: Arm) -> tuple[float, float]:
    """Variance of a question's difference a - b, and covariance of two questions' within a section."""
    in_section, in_question, one_fact = (
        _covariance(case, a, a, level) + _covariance(case, b, b, level) - 2 * _covariance(case, a, b, level)
        for level in SPREAD
    )
    return one_fact / N_FACTS + in_question * (N_FACTS - 1) / N_FACTS, in_section


def _covariance(case: Case, a: Arm, b: Arm, level: str) -> float:
    """Of a stating one fact and b another, where the two facts have `level` and all above it in common."""
    levels = list(SPREAD)[: list(SPREAD).index(level) + 1]
    correlation = sum(SPREAD[name][0] + (SPREAD[name][1] if a == b else 0.0) for name in levels)
    p_a, p_b = case.recall[a], case.recall[b]
    if math.isclose(correlation, 1.0):
        return p_a * (1 - p_a)
    both = stats.multivariate_normal([0.0, 0.0], [[1.0, correlation], [correlation, 1.0]])
    return float(both.cdf(special.ndtri([p_a, p_b]))) - p_a * p_b
