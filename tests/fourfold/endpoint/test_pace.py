from __future__ import annotations

import random

import pytest

from fourfold.llm.endpoint.pace import Pace


def starts(pace: Pace, amounts: list[float], arrivals: list[float]) -> list[float]:
    return [now + pace.reserve(amount, now) for amount, now in zip(amounts, arrivals, strict=True)]


def test_without_a_limit_nobody_waits() -> None:
    assert starts(Pace(None), [1, 1000, 1], [0, 0, 0]) == [0, 0, 0]


def test_requests_that_come_together_are_spaced_evenly() -> None:
    assert starts(Pace(30), [1, 1, 1, 1], [5, 5, 5, 5]) == [5, 7, 9, 11]


def test_idle_time_is_not_saved_up() -> None:
    assert starts(Pace(60), [1, 1, 1], [0, 100, 100]) == [0, 100, 101]


def test_a_large_amount_holds_up_those_behind_it() -> None:
    assert starts(Pace(600), [100, 10, 1], [0, 0, 0]) == [0, 10, 11]


def test_what_it_really_took_moves_the_next_one() -> None:
    pace = Pace(600)
    assert pace.reserve(100, 0) == 0
    pace.settle(-50)
    assert pace.reserve(1, 0) == pytest.approx(5)


@pytest.mark.parametrize("per_minute", [1, 7, 60, 600])
def test_no_minute_holds_more_than_the_limit(per_minute: int) -> None:
    arrivals = sorted(random.Random(1).uniform(0, 300) for _ in range(400))
    found = starts(Pace(per_minute), [1] * 400, arrivals)
    assert found == sorted(found)
    # The first of each window stands on its edge.
    assert all(sum(start <= other < start + 60 - 1e-6 for other in found) <= per_minute for start in found)
