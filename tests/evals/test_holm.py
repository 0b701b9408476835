import math

import numpy as np
import pytest

from fourfold.errors import InputError
from fourfold.evals.holm import holm


def test_a_worked_example_in_the_inputs_order() -> None:
    # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and .04 is raised to .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_ties_get_one_value() -> None:
    assert holm([0.02, 0.02, 0.5]) == pytest.approx([0.06, 0.06, 0.5])


def test_adjusted_values_stop_at_one() -> None:
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_one_test_stays_as_it_is_and_none_gives_none() -> None:
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_an_undefined_test_counts_in_the_family_and_stays_undefined() -> None:
    assert holm([0.01, None, 0.02]) == [pytest.approx(0.03), None, pytest.approx(0.04)]


def test_it_rejects_what_the_step_down_procedure_rejects() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = (rng.random(7) ** 3).tolist()
        order = np.argsort(p)
        rejected: set[int] = set()
        for rank, place in enumerate(order):
            if p[place] > 0.05 / (7 - rank):
                break
            rejected.add(int(place))
        assert {place for place, q in enumerate(holm(p)) if q is not None and q <= 0.05} == rejected


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1])
def test_a_p_value_out_of_range_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="position 1"):
        holm([0.5, bad])
