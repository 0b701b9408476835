"""Memory that grows while it answers: an experiment of its own, over several orders of the questions.

In a study memory is frozen before the test (fairness rule 5). What growing saves depends on who asks first, so it is
measured over at least three orders, each from an empty memory, one question at a time as they come.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from fourfold.errors import InputError
from fourfold.retrieval.modules.pipeline import RetrievalPath
from fourfold.types import Retrieved

MIN_ORDERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthStep:
    """One question in one order: chunks that the index gave, and whether its gold was shown."""

    order: int
    position: int
    question_id: str
    n_outside: int
    hit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The steps of every order, and over the orders mean and spread (standard deviation) of each order's mean.

    `outside` counts chunks a question, `hits` is a share (0 to 1); `later_…` look at the second half of an order.
    """

    steps: tuple[GrowthStep, ...]
    outside: tuple[float, float]
    hits: tuple[float, float]
    later_outside: tuple[float, float]
    later_hits: tuple[float, float]


def grow(
    questions: Sequence[tuple[str, str]],
    orders: Sequence[Sequence[int]],
    *,
    start: Callable[[int], RetrievalPath],
    is_hit: Callable[[str, Sequence[Retrieved]], bool],
    now: dt.datetime,
) -> Growth:
    """Ask every question in every order, memory being written after each.

    Args:
        questions: (question id, question), at least two.
        orders: permutations of their places, at least three.
        start: the path of an order, with an empty memory.
        is_hit: whether a question's gold is among its rows.
        now: the date noted in memory.

    Raises:
        InputError: fewer than three orders or two questions, or an order that is no permutation.
    """
    _check(questions, orders)
    steps = []
    for number, order in enumerate(orders):
        path = start(number)
        for position, place in enumerate(order):
            found = path.find([questions[place]], fill_at=now)
            (trace,) = found.traces
            steps.append(
                GrowthStep(
                    order=number,
                    position=position,
                    question_id=trace.question_id,
                    n_outside=trace.n_outside,
                    hit=is_hit(trace.question_id, found.retrieved),
                )
            )
    later = [step for step in steps if step.position >= len(questions) // 2]
    return Growth(
        steps=tuple(steps),
        outside=_over_orders(steps, lambda step: step.n_outside),
        hits=_over_orders(steps, lambda step: step.hit),
        later_outside=_over_orders(later, lambda step: step.n_outside),
        later_hits=_over_orders(later, lambda step: step.hit),
    )


def _over_orders(steps: Sequence[GrowthStep], value: Callable[[GrowthStep], float]) -> tuple[float, float]:
    by_order: dict[int, list[float]] = {}
    for step in steps:
        by_order.setdefault(step.order, []).append(value(step))
    means = [fmean(values) for values in by_order.values()]
    return fmean(means), stdev(means)


def _check(questions: Sequence[tuple[str, str]], orders: Sequence[Sequence[int]]) -> None:
    places = list(range(len(questions)))
    wrong = [number for number, order in enumerate(orders) if sorted(order) != places]
    if len(orders) < MIN_ORDERS or len(questions) < 2 or wrong:
        raise InputError(
            "growth cannot be measured",
            seen=f"{len(questions)} question(s) in {len(orders)} order(s)"
            + (f"; order {wrong[0]} is no permutation" if wrong else ""),
            expected=f"at least 2 questions in at least {MIN_ORDERS} orders, each naming every place once",
            hint="draw more orders: who asks first decides what memory saves",
        )
