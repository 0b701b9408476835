"""A rating's expectation under the judge's own probabilities: no reply, nothing to parse.

Source: Liu et al. 2023, "G-Eval", arXiv 2303.16634, equation 1 (score = Σ p(s) · s), with the p of one forward pass at
the reply's first place and renormalised over the ratings, as in Self-Judge (score = Σ v · P(v)). Where we differ:
G-Eval estimates p by 20 samples, and the mass that was on ratings at all is kept beside the score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fourfold.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An expectation.

    Args:
        value: Σ p · value, in the unit of the values.
        probabilities: of each rating, adding up to 1.
        mass: probability that the judge's reply begins with a rating, in [0, 1].
    """

    value: float
    probabilities: tuple[float, ...]
    mass: float


def expected_value(logprobs: Sequence[float], values: Sequence[float]) -> Expected | None:
    """The expectation over ratings.

    Args:
        logprobs: natural log-probability of each rating, -inf for one that cannot be.
        values: what each is worth.

    Returns:
        None where no rating has any probability.

    Raises:
        InputError: lengths differ, none is given, or a log-probability is NaN or above 0.
    """
    if len(logprobs) != len(values) or not values:
        raise InputError(
            "ratings and their values do not match",
            seen=f"{len(logprobs)} log-probabilities, {len(values)} values",
            expected="one of each per rating, at least one",
            hint="take both from the same rubric",
        )
    # The negation also holds for NaN; a rounding error above 0 is none.
    if not all(logprob <= 1e-3 for logprob in logprobs):
        raise InputError(
            "a log-probability is wrong",
            seen=list(logprobs),
            expected="numbers of at most 0",
            hint="give natural logarithms of probabilities",
        )
    largest = max(logprobs)
    if largest == -math.inf:
        return None
    weights = [math.exp(logprob - largest) for logprob in logprobs]
    total = sum(weights)
    probabilities = tuple(weight / total for weight in weights)
    return Expected(
        value=sum(p * value for p, value in zip(probabilities, values, strict=True)),
        probabilities=probabilities,
        mass=min(1.0, math.exp(largest) * total),
    )
