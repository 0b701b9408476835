from __future__ import annotations

import numpy as np
import pytest

from fourfold.retrieval.modules.trigger import Mode, Trigger, decide


@pytest.mark.parametrize(
    ("cosines", "tau", "theta", "alike", "search"),
    [
        # Popularity is |{t: cos ≥ tau}|; from theta on, no search. By hand:
        ([0.9, 0.5, 0.4, 0.1], 0.4, 3, (0, 1, 2), False),
        ([0.9, 0.5, 0.39, 0.1], 0.4, 3, (0, 1), True),
        ([0.1, 0.5, 0.9], 0.4, 2, (2, 1), False),
        ([0.5, 0.5, 0.5], 0.5, 3, (0, 1, 2), False),
        ([0.5, 0.7, 0.5], 0.5, 1, (1, 0, 2), False),
        ([0.9, 0.9, 0.9], 1.0, 1, (), True),
        ([1.0, 0.2], 1.0, 1, (0,), False),
        ([-0.5], -0.5, 1, (0,), False),
        ([], 0.4, 1, (), True),
    ],
)
def test_a_query_with_theta_alike_titles_is_not_searched(
    cosines: list[float], tau: float, theta: int, alike: tuple[int, ...], search: bool
) -> None:
    decision = decide(np.array(cosines, dtype=np.float32), Trigger(tau=tau, theta=theta))
    assert (decision.alike, decision.search) == (alike, search)


@pytest.mark.parametrize(
    ("mode", "alike", "search"), [("popularity", (0, 1), False), ("always", (0, 1), True), ("pass", (), True)]
)
def test_the_ablations_search_always_with_memory_or_without(mode: Mode, alike: tuple[int, ...], search: bool) -> None:
    decision = decide(np.array([0.9, 0.8], dtype=np.float32), Trigger(mode=mode, tau=0.4, theta=2))
    assert (decision.alike, decision.search) == (alike, search)


def test_the_defaults_are_the_published_ones() -> None:
    assert Trigger() == Trigger(mode="popularity", tau=0.4, theta=3)
