"""By which factor a price, or the number of queries, must change for the verdict's winner to change.

The tests of quality do not depend on prices, only the order of arms by cost does, so the comparisons are made once and
the rule is read again in every order. What an arm costs a query is linear in each price and in 1 / queries: the order
changes only where two arms' lines cross, and the borders are exact, as in `trade_off`; a grid could step over two that
lie close together.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fourfold.errors import InputError
from fourfold.evals.cost import TOKENS, ArmUse, Ranking, arm_cost, rank_costs
from fourfold.evals.verdict import Verdict, winner_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fourfold.evals.constraints import ConstraintCheck
    from fourfold.study import PriceSettings

What = Literal["machine hour", "token prices", "storage", "kWh", "queries"]

LOWEST, HIGHEST = 0.1, 10.0
# Factors looked at: a price wrong by more is not a price that the study knows.
PRICES: Mapping[What, tuple[str, ...]] = {
    "machine hour": ("machine_hour",),
    "token prices": ("prompt_million", "answer_million"),
    "storage": ("storage_gb_month",),
    "kWh": ("kilowatt_hour",),
}
_SAME = 1e-9
# Relative: lines that meet in one point are found there up to rounding, and the order between is none.


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFlip:
    """Where the winner changes.

    Args:
        what: the price, or "queries".
        factor: of the study's value.
        values: the study's value times `factor`: prompt and answer for token prices, else one. Queries are not rounded.
        winner_below: with less than that; None where the rule names no winner.
        winner_above: with more; likewise.
    """

    what: What
    factor: float
    values: tuple[float, ...]
    winner_below: str | None
    winner_above: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRange:
    """One price, or the number of queries, over the factors that were looked at.

    Args:
        what: the price, or "queries".
        values: the study's; see `PriceFlip`.
        low: the lowest factor looked at.
        high: the highest.
        flips: in ascending order; none where the winner is the same throughout.
        reason: why `low` and `high` are not 0.1 and 10, or nothing can change; None elsewhere.
    """

    what: What
    values: tuple[float, ...]
    low: float
    high: float
    flips: tuple[PriceFlip, ...]
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSensitivity:
    """One range per price that the study names, and one for the queries; none exactly where `reason` says why."""

    ranges: tuple[PriceRange, ...]
    reason: str | None


def price_sensitivity(
    verdict: Verdict,
    uses: Sequence[ArmUse],
    prices: PriceSettings,
    *,
    n_queries: int,
    checks: Sequence[ConstraintCheck] = (),
) -> PriceSensitivity:
    """Which winner the verdict would have at other prices and other numbers of queries, one changed at a time.

    A limit on cost (`max_cost_per_query`) stays as it is: at the factor from which it would let another set of arms
    into the verdict, other comparisons hold, and the range ends there.

    Args:
        verdict: on the ranking of these uses at these prices.
        uses: what `rank_costs` was given for the verdict, ties in the same order.
        prices: the study's.
        n_queries: likewise, at least 1.
        checks: what `decide_within` was given.

    Returns:
        The ranges. None where arms are ranked by tokens, which no price and no number of queries changes.

    Raises:
        InputError: the uses and prices do not give the verdict's order of arms; a quantity is negative, or no queries.
    """
    ranking = rank_costs(uses, prices, n_queries=n_queries)
    if not verdict.finished.means:
        return PriceSensitivity(ranges=(), reason="no arm stands in the verdict")
    if ranking.unit == TOKENS:
        return PriceSensitivity(ranges=(), reason=f"arms are ranked by tokens ({ranking.reason})")
    _check_order(verdict, ranking, checks)
    case = _Case(verdict=verdict, uses=uses, prices=prices, n_queries=n_queries, checks=checks)
    named = [what for what, (first, *_) in PRICES.items() if getattr(prices, first) is not None]
    return PriceSensitivity(ranges=tuple(_range(case, what) for what in (*named, "queries")), reason=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """The study. `x` is a factor of a price, and for queries of 1 / queries: costs are linear in it and never fall."""

    verdict: Verdict
    uses: Sequence[ArmUse]
    prices: PriceSettings
    n_queries: int
    checks: Sequence[ConstraintCheck]

    @property
    def kept(self) -> list[str]:
        """The verdict's arms, in the order that breaks ties."""
        inside = {name for name, _ in self.verdict.finished.means}
        return [use.arm for use in self.uses if use.arm in inside]

    def values(self, what: What) -> tuple[float, ...]:
        """What the study names."""
        if what == "queries":
            return (float(self.n_queries),)
        return tuple(getattr(self.prices, name) for name in PRICES[what])

    def costs(self, what: What, x: float) -> dict[str, float]:
        """Cost a query of every arm."""
        changed = {name: getattr(self.prices, name) * x for name in PRICES.get(what, ())}
        prices = self.prices.model_copy(update=changed)
        n = self.n_queries / x if what == "queries" else self.n_queries
        bills = [arm_cost(use, prices, n_queries=self.n_queries) for use in self.uses]
        # An arm without cost answered nothing: as in the verdict it stands first, and cannot win.
        return {
            bill.arm: 0.0 if bill.fixed is None or bill.per_query is None else bill.fixed / n + bill.per_query
            for bill in bills
        }

    def winner(self, what: What, x: float) -> str | None:
        """The arm that the verdict would choose; None too where failures decide (rule 10)."""
        costs = self.costs(what, x)
        order = sorted(self.kept, key=costs.__getitem__)
        rulings = (self.verdict.finished, self.verdict.failed_as_wrong)
        winners = {winner_of(order, qualified=ruling.qualified, excluded=ruling.excluded) for ruling in rulings}
        return winners.pop() if len(winners) == 1 else None


def _range(case: _Case, what: What) -> PriceRange:
    values = case.values(what)
    if not any(values):
        why = "is 0: no factor changes it"
        return PriceRange(what=what, values=values, low=LOWEST, high=HIGHEST, flips=(), reason=why)
    # Of one query and no fewer.
    highest = min(HIGHEST, float(case.n_queries)) if what == "queries" else HIGHEST
    ends = (LOWEST, highest)
    at_ends = (case.costs(what, LOWEST), case.costs(what, highest))
    low, high, reason = _within_limit(case, ends, at_ends)
    pairs = itertools.combinations(case.kept, 2)
    gaps = [[cost[a] - cost[b] for cost in at_ends] for a, b in pairs]
    edges = [low, *_apart(sorted(x for x in _roots(ends, gaps) if low < x < high)), high]
    winners = [case.winner(what, math.sqrt(one * other)) for one, other in itertools.pairwise(edges)]
    flips = [
        _flip(what, values, x, (before, after))
        for x, (before, after) in zip(edges[1:-1], itertools.pairwise(winners), strict=True)
        if before != after
    ]
    if what == "queries":
        low, high = 1 / high, 1 / low
        flips.reverse()
        reason = reason or ("one query is the least" if highest < HIGHEST else None)
    return PriceRange(what=what, values=values, low=low, high=high, flips=tuple(flips), reason=reason)


def _flip(what: What, values: tuple[float, ...], x: float, winners: tuple[str | None, str | None]) -> PriceFlip:
    factor = 1 / x if what == "queries" else x
    below, above = reversed(winners) if what == "queries" else winners
    at = tuple(value * factor for value in values)
    return PriceFlip(what=what, factor=factor, values=at, winner_below=below, winner_above=above)


def _within_limit(
    case: _Case, ends: tuple[float, float], at_ends: tuple[Mapping[str, float], Mapping[str, float]]
) -> tuple[float, float, str | None]:
    """The part of the range, x = 1 included, in which the limit on cost lets the same arms into the verdict."""
    leaving: list[tuple[float, str]] = []
    entering: list[tuple[float, str]] = []
    for check in case.checks:
        if check.constraint != "max_cost_per_query":
            continue
        others = [own.met for own in case.checks if own.arm == check.arm and own != check]
        for x in _roots(ends, [[cost[check.arm] - check.limit for cost in at_ends]]):
            if check.arm in case.kept:
                leaving.append((x, f"{check.arm} leaves"))
            elif check.met is False and all(others):
                entering.append((x, f"{check.arm} enters"))
    (low, enters), (high, leaves) = max([(ends[0], ""), *entering]), min([(ends[1], ""), *leaving])
    told = ", ".join(text for text in (enters, leaves) if text)
    return low, high, f"ends where max_cost_per_query lets other arms into the verdict: {told}" if told else None


def _roots(ends: tuple[float, float], gaps: Sequence[Sequence[float]]) -> Iterator[float]:
    """Where lines given by their values at both ends are 0."""
    low, high = ends
    for first, last in gaps:
        if first * last < 0:
            yield low + (high - low) * first / (first - last)


def _apart(borders: Sequence[float]) -> list[float]:
    kept: list[float] = []
    for border in borders:
        if not kept or border > kept[-1] * (1 + _SAME):
            kept.append(border)
    return kept


def _check_order(verdict: Verdict, ranking: Ranking, checks: Sequence[ConstraintCheck]) -> None:
    order = [name for name, _ in verdict.finished.means]
    if unknown := {*order, *(check.arm for check in checks)} - ranking.values.keys():
        seen = f"no use of {', '.join(sorted(unknown))}"
    else:
        cost = {name: ranking.values[name] or 0.0 for name in order}
        if all(cost[one] <= cost[other] for one, other in itertools.pairwise(order)):
            return
        seen = ", ".join(f"{name} {cost[name]:g}" for name in order)
    raise InputError(
        "the costs are not those that the verdict ranked its arms by",
        seen=seen,
        expected="the uses, prices and number of queries of the verdict",
        hint="give what rank_costs was given",
    )
