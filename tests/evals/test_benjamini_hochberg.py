import math

import numpy as np
import pytest

from fourfold.errors import InputError
from fourfold.evals.benjamini_hochberg import benjamini_hochberg
from fourfold.evals.holm import holm


def test_a_worked_example_in_the_inputs_order() -> None:
    # Sorted .005 .01 .03 .04, times 4/1 4/2 4/3 4/4: .02 .02 .04 .04.
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_a_value_is_lowered_to_that_of_a_larger_p() -> None:
    # .02 * 3/1 = .06, .03 * 3/2 = .045, .04 * 3/3 = .04.
    assert benjamini_hochberg([0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.04, 0.04])


def test_one_test_stays_as_it_is_and_none_gives_none() -> None:
    assert benjamini_hochberg([0.2]) == [0.2]
    assert benjamini_hochberg([]) == []
    assert benjamini_hochberg([None]) == [None]


def test_an_undefined_test_counts_in_the_family_and_stays_undefined() -> None:
    # .01 * 3/1 = .03, .02 * 3/2 = .03; without the undefined one they would be .02 and .02.
    assert benjamini_hochberg([0.01, None, 0.02]) == [pytest.approx(0.03), None, pytest.approx(0.03)]


def test_it_rejects_what_the_step_up_procedure_rejects_and_holms_at_least() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = (rng.random(7) ** 3).tolist()
        order = np.argsort(p)
        last = max((rank for rank, place in enumerate(order) if p[place] <= 0.05 * (rank + 1) / 7), default=-1)
        rejected = {place for place, q in enumerate(benjamini_hochberg(p)) if q is not None and q <= 0.05}
        assert rejected == {int(place) for place in order[: last + 1]}
        assert rejected >= {place for place, q in enumerate(holm(p)) if q is not None and q <= 0.05}


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1])
def test_a_p_value_out_of_range_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="position 1"):
        benjamini_hochberg([0.5, bad])
