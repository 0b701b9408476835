"""What a study could have shown: the smallest detectable difference, and the questions that a stated one would need.

Power of a t test by the noncentral t distribution, as in Cohen 1988, Statistical Power Analysis, chapter 2, with the
CR2 standard error and Satterthwaite's degrees of freedom in place of those of independent values. As R's
`power.t.test`, the two-sided form leaves out rejections on the wrong side (below 1e-5 at level .05 and a power of .8).
Where we differ from `growth_needed`, which the verdict plans with: that is the normal approximation, which is too small
at few clusters; here it only starts the search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scipy import optimize, special

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import growth_needed

if TYPE_CHECKING:
    from fourfold.evals.estimate import Estimate

POWER = 0.8
# The usual chance of success for which a sample size is planned (Cohen 1988, section 2.4).


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """A figure of two tests: that of any difference, and the verdict's.

    Args:
        two_sided: for the two-sided test of no difference at `level`; None where it cannot be computed.
        verdict: for the verdict's one-sided test, the difference counted from its border (-margin), at Holm's
            strictest level, `level / n_tests`; None where it cannot be computed.
        level: level of the two-sided test, and of the verdict's tests together.
        n_tests: tests of the verdict.
        power: chance that the test rejects.
        reason: why the figures are None; None where they are not.
    """

    two_sided: float | None
    verdict: float | None
    level: float
    n_tests: int
    power: float
    reason: str | None


def smallest_detectable(estimate: Estimate, *, n_tests: int, level: float = 0.05, power: float = POWER) -> Power:
    """The true difference that a study with this standard error finds with the given chance.

    It depends on the spread and the design only, not on the difference that was seen.

    Args:
        estimate: a paired difference with its standard error and degrees of freedom.
        n_tests: tests of the verdict together: two for each ordered pair of arms, 24 with four arms.
        level: in (0, 1).
        power: in [.5, 1).

    Returns:
        Distances above 0 in the unit of the scores, from 0 (`two_sided`) and from the border (`verdict`). None where
        the standard error is None or 0.

    Raises:
        InputError: `level`, `power` or `n_tests` is out of range.
    """
    result = _checked(estimate, n_tests=n_tests, level=level, power=power)
    if not estimate.se or estimate.dof is None:
        return result
    distances = _distances(result, estimate.dof)
    return replace(result, two_sided=distances[0] * estimate.se, verdict=distances[1] * estimate.se)


def questions_needed(
    estimate: Estimate, *, difference: float, n_tests: int, level: float = 0.05, power: float = POWER
) -> Power:
    """The test questions at which a stated true difference would be found with the given chance.

    In more clusters of the present sizes, the spread and the share of missing questions staying as they are: the
    standard error falls with the root of the growth k, and the degrees of freedom become k (dof + 1) - 1 (exact for
    clusters of one size, where they are G - 1).

    Args:
        estimate: a paired difference with its standard error and degrees of freedom, from a pilot or this study.
        difference: the true difference, above 0: from 0 (`two_sided`) and from the border (`verdict`).
        n_tests: tests of the verdict together: two for each ordered pair of arms, 24 with four arms.
        level: in (0, 1).
        power: in [.5, 1).

    Returns:
        Whole numbers of questions asked, missing ones among them; at least two clusters' worth. None where the
        standard error is None or 0.

    Raises:
        InputError: `difference`, `level`, `power` or `n_tests` is out of range.
    """
    result = _checked(estimate, n_tests=n_tests, level=level, power=power)
    if not (math.isfinite(difference) and difference > 0):
        raise InputError(
            "the difference to plan for is wrong",
            seen=difference,
            expected="a finite number above 0",
            hint="give the smallest difference that would matter",
        )
    if not estimate.se or estimate.dof is None:
        return result
    asked = estimate.n + estimate.n_missing
    growths = [_growth(estimate, difference, result, alpha=alpha) for alpha in _alphas(result)]
    return replace(result, two_sided=math.ceil(growths[0] * asked), verdict=math.ceil(growths[1] * asked))


def _checked(estimate: Estimate, *, n_tests: int, level: float, power: float) -> Power:
    """The figures without their values, and the reason where they will have none."""
    if not (0 < level < 1 and 0.5 <= power < 1 and n_tests >= 1):
        raise InputError(
            "the power to plan for is wrong",
            seen=f"level {level}, power {power}, {n_tests} tests",
            expected="a level in (0, 1), a power in [.5, 1), at least one test",
            hint="level .05 and power .8 are usual; four arms make 24 tests",
        )
    reason = None
    if not estimate.se or estimate.dof is None:
        reason = f"no standard error to plan with: {estimate.reason}"
    return Power(two_sided=None, verdict=None, level=level, n_tests=n_tests, power=power, reason=reason)


def _alphas(plan: Power) -> tuple[float, float]:
    """Level of one tail of each test."""
    return plan.level / 2, plan.level / plan.n_tests


def _distances(plan: Power, dof: float) -> tuple[float, float]:
    first, second = _alphas(plan)
    return _distance(dof, alpha=first, power=plan.power), _distance(dof, alpha=second, power=plan.power)


def _distance(dof: float, *, alpha: float, power: float) -> float:
    """Standard errors from the null at which a one-sided t test rejects with the given chance."""
    critical = special.stdtrit(dof, 1 - alpha)
    return float(special.nctdtrinc(dof, 1 - power, critical))


def _growth(estimate: Estimate, difference: float, plan: Power, *, alpha: float) -> float:
    """Factor on the number of questions."""
    se, dof = estimate.se, estimate.dof
    assert se is not None
    assert dof is not None

    def excess(growth: float) -> float:
        detectable = _distance(growth * (dof + 1) - 1, alpha=alpha, power=plan.power) * se / math.sqrt(growth)
        return detectable - difference

    stated = replace(estimate, value=difference)
    normal = growth_needed(stated, null=0.0, alternative="greater", alpha=alpha, power=plan.power)
    assert normal is not None
    lowest = max(normal, 2 / (dof + 1))
    # At least one degree of freedom, two clusters' worth.
    if excess(lowest) <= 0:
        return lowest
    highest = 2 * lowest
    while excess(highest) > 0:
        highest *= 2
    return float(optimize.brentq(excess, lowest, highest))
