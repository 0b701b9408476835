"""What each arm costs: once, for a query, and over a number of queries. A missing price is never taken for 0.

Fixed cost is what is paid before the first query (index, tuning, storage); the rest grows with the queries. Model calls
are paid by token where the study has token prices, else by the hour of the machine that makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from fourfold.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fourfold.study import PriceSettings
    from fourfold.types import Answer, Latency

TOKENS = "tokens"
_NO_PRICES = "no prices"
_NOT_MEASURED = "seconds a query were not measured: set latency.enabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmUse:
    """What one arm was measured to use. All at least 0.

    Args:
        arm: its name.
        prompt_tokens: mean tokens of a prompt; None where nothing was answered.
        answer_tokens: mean tokens of an answer; None where nothing was answered.
        seconds: mean machine seconds a query at `concurrency`, retrieval included; None where not measured.
        concurrency: requests that were answered at once while `seconds` was measured; None where it was not.
        index_seconds: machine seconds to build the index; 0 for an arm that needs none.
        tuning_seconds: machine seconds to make tuning questions and adapter; 0 for an arm that is not tuned.
        storage_bytes: of what the arm keeps beside the base weights (index, adapter).
    """

    arm: str
    prompt_tokens: float | None
    answer_tokens: float | None
    seconds: float | None
    concurrency: int | None
    index_seconds: float
    tuning_seconds: float
    storage_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPart:
    """One item of a bill. `amount` is in the currency and None exactly where `reason` says why."""

    name: Literal["index", "tuning", "storage", "prompt tokens", "answer tokens", "machine time"]
    per: Literal["study", "query"]
    amount: float | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCost:
    """One arm's bill.

        rate      = machine_hour / 3600 + watts x kilowatt_hour / 3.6e6      currency a machine second
        index     = index_seconds x rate
        tuning    = tuning_seconds x rate
        storage   = storage_bytes / 1e9 x storage_gb_month x storage_months
        fixed     = index + tuning + storage
        per query = (prompt_tokens x prompt_million + answer_tokens x answer_million) / 1e6   with token prices, else
                    seconds x rate
        total     = fixed + n_queries x per query

    Energy (W x s = J, 3.6e6 J to the kWh) counts only where the study prices it. With token prices the machine that
    searches the index is not on the bill of a query. An item that an arm does not use costs 0 without a price. Without
    any price the unit is tokens: a query costs prompt + answer tokens, and there is no fixed cost to add.

    Args:
        arm: its name.
        unit: the currency, or "tokens".
        parts: the items, those of the study first; empty for tokens.
        fixed: in `unit`; None where a part of it is.
        per_query: in `unit`; None where a part of it is.
        refresh: index + tuning, what one refresh of the corpus repeats, in `unit`.
        storage_a_month: in `unit`.
        total: at `n_queries`, in `unit`; for tokens those of the queries alone.
        n_queries: queries that `total` is for.
        concurrency: requests at once where machine time stands behind `per_query`; None elsewhere.
        reason: why something is None; None where nothing is.
    """

    arm: str
    unit: str
    parts: tuple[CostPart, ...]
    fixed: float | None
    per_query: float | None
    refresh: float | None
    storage_a_month: float | None
    total: float | None
    n_queries: int
    concurrency: int | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What the verdict ranks arms by: mean cost a query, fixed cost spread over the queries, one unit for all.

    `reason` says why it is tokens; None with a currency. A value is None for an arm that answered nothing.
    """

    unit: str
    values: Mapping[str, float | None]
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCosts:
    """What one arm's queries cost one by one: what intervals of cost are made of.

    Args:
        arm: its name.
        values: currency per question id; None for a failed item. Empty where `reason` says why.
        clusters: per question id, what costs rise and fall with: the questions' own clusters for token prices, the
            batch for machine time, whose requests share one time.
        reason: why there are no values.
    """

    arm: str
    values: Mapping[str, float | None]
    clusters: Mapping[str, str]
    reason: str | None


def has_prices(prices: PriceSettings) -> bool:
    """Whether the study names any price."""
    named = (prices.machine_hour, prices.prompt_million, prices.storage_gb_month, prices.kilowatt_hour)
    return any(price is not None for price in named)


def measure_use(
    arm: str,
    answers: Iterable[Answer],
    latencies: Iterable[Latency],
    *,
    index_seconds: float = 0.0,
    tuning_seconds: float = 0.0,
    storage_bytes: int = 0,
) -> ArmUse:
    """Means over what the arm answered.

    Args:
        arm: its name.
        answers: of any arms; the arm's own are looked at, failed ones left out.
        latencies: likewise. Seconds are those of the throughput pass; of the latency pass only where the study states
            a concurrency of 1 and there is no other.
        index_seconds: see `ArmUse`.
        tuning_seconds: see `ArmUse`.
        storage_bytes: see `ArmUse`.

    Raises:
        InputError: a quantity is negative.
    """
    done = [answer for answer in answers if answer.arm == arm and answer.text is not None]
    timed = [row for row in at_stated_concurrency(latencies) if row.arm == arm and row.seconds is not None]
    return _checked(
        ArmUse(
            arm=arm,
            prompt_tokens=fmean(answer.n_prompt_tokens for answer in done) if done else None,
            answer_tokens=fmean(answer.n_answer_tokens for answer in done) if done else None,
            seconds=fmean(row.seconds for row in timed if row.seconds is not None) if timed else None,
            concurrency=timed[0].concurrency if timed else None,
            index_seconds=index_seconds,
            tuning_seconds=tuning_seconds,
            storage_bytes=storage_bytes,
        )
    )


def at_stated_concurrency(latencies: Iterable[Latency]) -> list[Latency]:
    """The rows that cost is measured on: those with the most requests at once."""
    rows = list(latencies)
    highest = max((row.concurrency for row in rows), default=0)
    return [row for row in rows if row.concurrency == highest]


def arm_cost(use: ArmUse, prices: PriceSettings, *, n_queries: int) -> ArmCost:
    """One arm's bill; see `ArmCost` for the formulas.

    Args:
        use: what was measured.
        prices: the study's.
        n_queries: at least 1.

    Raises:
        InputError: a quantity is negative, or no queries.
    """
    _checked(use)
    if n_queries < 1:
        raise InputError(
            "costs are asked for no queries", seen=n_queries, expected="at least 1", hint="set verdict.n_queries"
        )
    if not has_prices(prices):
        return _in_tokens(use, n_queries=n_queries)
    rate, no_rate = _rate(prices)
    a_month, no_storage = _times(use.storage_bytes / 1e9, prices.storage_gb_month, "storage_gb_month")
    index = _part("index", "study", *_priced(use.index_seconds, rate, no_rate))
    tuning = _part("tuning", "study", *_priced(use.tuning_seconds, rate, no_rate))
    storage = _part("storage", "study", None if a_month is None else a_month * prices.storage_months, no_storage)
    queries = _query_parts(use.prompt_tokens, use.answer_tokens, use.seconds, prices)
    fixed, per_query = _sum([index, tuning, storage]), _sum(queries)
    parts = (index, tuning, storage, *queries)
    return ArmCost(
        arm=use.arm,
        unit=prices.currency,
        parts=parts,
        fixed=fixed,
        per_query=per_query,
        refresh=_sum([index, tuning]),
        storage_a_month=a_month,
        total=None if fixed is None or per_query is None else fixed + n_queries * per_query,
        n_queries=n_queries,
        concurrency=None if _by_token(prices) else use.concurrency,
        reason="; ".join(f"{part.name}: {part.reason}" for part in parts if part.reason) or None,
    )


def rank_costs(uses: Sequence[ArmUse], prices: PriceSettings, *, n_queries: int) -> Ranking:
    """The cost a query that the verdict ranks arms by: money where every arm's is known, else tokens for all of them.

    Args:
        uses: one per arm. An arm that answered nothing does not stand in the way of money for the others.
        prices: the study's.
        n_queries: queries that the fixed cost is spread over, at least 1.

    Raises:
        InputError: a quantity is negative, or no queries.
    """
    costs = [arm_cost(use, prices, n_queries=n_queries) for use in uses]
    unpriced = [
        cost for cost, use in zip(costs, uses, strict=True) if cost.total is None and use.prompt_tokens is not None
    ]
    if has_prices(prices) and not unpriced:
        values = {cost.arm: None if cost.total is None else cost.total / n_queries for cost in costs}
        return Ranking(unit=prices.currency, values=values, reason=None)
    tokens = {use.arm: _in_tokens(use, n_queries=n_queries).per_query for use in uses}
    why = "; ".join(f"{cost.arm}: {cost.reason}" for cost in unpriced) if has_prices(prices) else _NO_PRICES
    return Ranking(unit=TOKENS, values=tokens, reason=why)


def query_costs(
    arm: str,
    prices: PriceSettings,
    *,
    answers: Iterable[Answer],
    latencies: Iterable[Latency],
    clusters: Mapping[str, str],
) -> QueryCosts:
    """What the arm's queries cost one by one; the mean over a question's answers where there are several (seeds).

    Args:
        arm: its name.
        prices: the study's.
        answers: of any arms, for token prices.
        latencies: of any arms, for machine time: the rows of the stated concurrency.
        clusters: per question id; for token prices, only these questions count.

    Returns:
        The costs; without values where a price or the measurement is missing.
    """
    if not has_prices(prices):
        return QueryCosts(arm=arm, values={}, clusters={}, reason=_NO_PRICES)
    if _by_token(prices):
        amounts: dict[str, list[float]] = {question: [] for question in clusters}
        for answer in answers:
            if answer.arm == arm and answer.text is not None and answer.question_id in clusters:
                parts = _query_parts(answer.n_prompt_tokens, answer.n_answer_tokens, None, prices)
                amounts[answer.question_id].append(_sum(parts) or 0.0)
        values = {question: fmean(some) if some else None for question, some in amounts.items()}
        return QueryCosts(arm=arm, values=values, clusters=clusters, reason=None)
    rate, no_rate = _rate(prices)
    rows = [row for row in at_stated_concurrency(latencies) if row.arm == arm]
    if rate is None or not rows:
        return QueryCosts(arm=arm, values={}, clusters={}, reason=no_rate or _NOT_MEASURED)
    return QueryCosts(
        arm=arm,
        values={row.question_id: None if row.seconds is None else row.seconds * rate for row in rows},
        clusters={row.question_id: f"batch {row.batch}" for row in rows},
        reason=None,
    )


def _in_tokens(use: ArmUse, *, n_queries: int) -> ArmCost:
    known = use.prompt_tokens is not None and use.answer_tokens is not None
    per_query = (use.prompt_tokens or 0.0) + (use.answer_tokens or 0.0) if known else None
    return ArmCost(
        arm=use.arm, unit=TOKENS, parts=(), fixed=None, per_query=per_query, refresh=None, storage_a_month=None,
        total=None if per_query is None else n_queries * per_query, n_queries=n_queries, concurrency=None,
        reason=_NO_PRICES if known else f"{_NO_PRICES}; nothing was answered",
    )  # fmt: skip


def _by_token(prices: PriceSettings) -> bool:
    return prices.prompt_million is not None


def _query_parts(
    prompt_tokens: float | None, answer_tokens: float | None, seconds: float | None, prices: PriceSettings
) -> list[CostPart]:
    if not _by_token(prices):
        if seconds is None:
            return [_part("machine time", "query", None, _NOT_MEASURED)]
        return [_part("machine time", "query", *_priced(seconds, *_rate(prices)))]
    if prompt_tokens is None or answer_tokens is None:
        return [_part("prompt tokens", "query", None, "nothing was answered")]
    return [
        _part("prompt tokens", "query", *_times(prompt_tokens / 1e6, prices.prompt_million, "prompt_million")),
        _part("answer tokens", "query", *_times(answer_tokens / 1e6, prices.answer_million, "answer_million")),
    ]


def _rate(prices: PriceSettings) -> tuple[float | None, str | None]:
    """Currency a machine second."""
    hour, reason = _times(1 / 3600, prices.machine_hour, "machine_hour")
    if hour is None or prices.watts is None or prices.kilowatt_hour is None:
        return hour, reason
    return hour + prices.watts * prices.kilowatt_hour / 3.6e6, None


def _times(quantity: float, price: float | None, name: str) -> tuple[float | None, str | None]:
    return _priced(quantity, price, f"no price: prices.{name} (write 0 if it costs nothing)")


def _priced(quantity: float, price: float | None, otherwise: str | None) -> tuple[float | None, str | None]:
    if quantity == 0:
        return 0.0, None
    return (None, otherwise) if price is None else (quantity * price, None)


def _part(
    name: Literal["index", "tuning", "storage", "prompt tokens", "answer tokens", "machine time"],
    per: Literal["study", "query"],
    amount: float | None,
    reason: str | None,
) -> CostPart:
    return CostPart(name=name, per=per, amount=amount, reason=reason)


def _sum(parts: Sequence[CostPart]) -> float | None:
    amounts = [part.amount for part in parts if part.amount is not None]
    return sum(amounts) if len(amounts) == len(parts) else None


def _checked(use: ArmUse) -> ArmUse:
    for name in ("prompt_tokens", "answer_tokens", "seconds", "index_seconds", "tuning_seconds", "storage_bytes"):
        value = getattr(use, name)
        if value is not None and not 0 <= value < float("inf"):
            raise InputError(
                f"what {use.arm} uses is wrong",
                seen=f"{name} = {value}",
                expected="a finite number, at least 0",
                hint="measure again, or give None where it was not measured",
            )
    return use
