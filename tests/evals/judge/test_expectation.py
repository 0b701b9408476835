from __future__ import annotations

import math

import pytest

from fourfold.errors import InputError
from fourfold.evals.judge.expectation import expected_value


def test_the_expectation_is_over_renormalised_probabilities() -> None:
    # .3, .1 and .1 of a mass of .5: .6, .2, .2.
    found = expected_value([math.log(0.3), math.log(0.1), math.log(0.1)], [1.0, 0.5, 0.0])
    assert found is not None
    assert found.probabilities == pytest.approx((0.6, 0.2, 0.2))
    assert found.value == pytest.approx(0.7)
    assert found.mass == pytest.approx(0.5)


def test_tiny_probabilities_do_not_vanish() -> None:
    found = expected_value([-1000.0, -1000.0 + math.log(3)], [0.0, 1.0])
    assert found is not None
    assert found.value == pytest.approx(0.75)
    assert found.mass == 0.0


def test_one_rating_without_probability_counts_nothing_and_all_without_are_undefined() -> None:
    found = expected_value([-math.inf, -1.0], [1.0, 0.0])
    assert found is not None
    assert found.value == 0.0
    assert expected_value([-math.inf, -math.inf], [1.0, 0.0]) is None


@pytest.mark.parametrize("logprobs", [[0.5, -1.0], [math.nan, -1.0], [-1.0], []])
def test_what_is_no_log_probability_is_refused(logprobs: list[float]) -> None:
    with pytest.raises(InputError):
        expected_value(logprobs, [1.0, 0.0] if len(logprobs) != 0 else [])
