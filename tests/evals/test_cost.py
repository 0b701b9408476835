from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fourfold.errors import InputError, StudyError
from fourfold.evals.cost import ArmUse, arm_cost, has_prices, measure_use, query_costs, rank_costs
from fourfold.study import PriceSettings
from fourfold.study_file import load_study
from fourfold.types import Answer, Arm, Latency

FREE = PriceSettings()
BY_HOUR = PriceSettings(currency="EUR", machine_hour=3.6, storage_gb_month=0.1, storage_months=6)
BY_TOKEN = PriceSettings(prompt_million=2.0, answer_million=10.0, machine_hour=3.6, storage_gb_month=0.1)


def use(arm: str = "tuned", **fields: Any) -> ArmUse:
    defaults: dict[str, Any] = {
        "arm": arm, "prompt_tokens": 500.0, "answer_tokens": 20.0, "seconds": 0.25, "concurrency": 8,
        "index_seconds": 100.0, "tuning_seconds": 1000.0, "storage_bytes": 2_000_000_000,
    }  # fmt: skip
    return ArmUse(**{**defaults, **fields})


def answer(
    arm: Arm, question: str, prompt: int, written: int, *, seed: int | None = None, failed: bool = False
) -> Answer:
    return Answer(
        arm=arm, tuning_seed=seed, question_id=question, text=None if failed else "x",
        failure="too long" if failed else None, n_prompt_tokens=prompt, n_answer_tokens=written, mean_logprob=None,
        finish_reason=None if failed else "stop", chunk_ids=(), example_ids=(), generation=None,
    )  # fmt: skip


def latency(arm: Arm, question: str, seconds: float | None, *, batch: int = 0, concurrency: int = 4) -> Latency:
    return Latency(
        arm=arm, question_id=question, batch=batch, concurrency=concurrency, seconds=seconds, retrieval_seconds=None,
        n_prompt_tokens=1, n_answer_tokens=1, failure=None if seconds is not None else "too long",
    )  # fmt: skip


def amounts(cost: Any) -> dict[str, float | None]:
    return {part.name: part.amount for part in cost.parts}


def test_by_the_hour_by_hand() -> None:
    # 3.6 an hour is .001 a second: index .1, tuning 1, a query .00025; 2 GB x .1 x 6 months = 1.2.
    cost = arm_cost(use(), BY_HOUR, n_queries=10_000)
    assert amounts(cost) == pytest.approx({"index": 0.1, "tuning": 1.0, "storage": 1.2, "machine time": 0.00025})
    assert cost.fixed == pytest.approx(2.3)
    assert cost.per_query == pytest.approx(0.00025)
    assert cost.total == pytest.approx(4.8)
    assert cost.refresh == pytest.approx(1.1)
    assert cost.storage_a_month == pytest.approx(0.2)
    assert (cost.unit, cost.concurrency, cost.reason) == ("EUR", 8, None)


def test_by_the_token_by_hand() -> None:
    # 500 x 2 / 10^6 + 20 x 10 / 10^6 = .001 + .0002.
    cost = arm_cost(use(), BY_TOKEN, n_queries=1000)
    assert cost.per_query == pytest.approx(0.0012)
    assert amounts(cost)["prompt tokens"] == pytest.approx(0.001)
    assert amounts(cost)["answer tokens"] == pytest.approx(0.0002)
    assert cost.total == pytest.approx(0.1 + 1.0 + 0.2 + 1.2)
    assert cost.concurrency is None


def test_energy_is_added_to_every_machine_second() -> None:
    # 360 W for 1 s are 1e-4 kWh; at .5 a kWh that is 5e-5 a second.
    with_energy = BY_HOUR.model_copy(update={"watts": 360.0, "kilowatt_hour": 0.5})
    cost = arm_cost(use(), with_energy, n_queries=1)
    assert amounts(cost) == pytest.approx(
        {"index": 0.105, "tuning": 1.05, "storage": 1.2, "machine time": 0.25 * 0.00105}
    )


@pytest.mark.parametrize(
    ("missing", "part", "whole"),
    [
        ("machine_hour", "index", "fixed"),
        ("machine_hour", "machine time", "per_query"),
        ("storage_gb_month", "storage", "fixed"),
    ],
)
def test_a_missing_price_is_not_0(missing: str, part: str, whole: str) -> None:
    cost = arm_cost(use(), BY_HOUR.model_copy(update={missing: None}), n_queries=10)
    (found,) = [p for p in cost.parts if p.name == part]
    assert found.amount is None
    assert found.reason == f"no price: prices.{missing} (write 0 if it costs nothing)"
    assert (getattr(cost, whole), cost.total) == (None, None)
    assert f"{part}: no price" in (cost.reason or "")


def test_a_price_of_0_is_a_price() -> None:
    cost = arm_cost(use(), BY_HOUR.model_copy(update={"storage_gb_month": 0.0}), n_queries=10)
    assert (amounts(cost)["storage"], cost.reason) == (0.0, None)
    assert has_prices(PriceSettings(machine_hour=0.0))
    assert not has_prices(FREE)


def test_what_an_arm_does_not_use_needs_no_price() -> None:
    base = use("base", index_seconds=0.0, tuning_seconds=0.0, storage_bytes=0)
    cost = arm_cost(base, PriceSettings(prompt_million=2.0, answer_million=10.0), n_queries=10)
    assert (cost.fixed, cost.reason) == (0.0, None)
    assert cost.total == pytest.approx(0.012)


def test_seconds_that_were_not_measured_are_named() -> None:
    cost = arm_cost(use(seconds=None, concurrency=None), BY_HOUR, n_queries=10)
    assert (cost.per_query, cost.total) == (None, None)
    assert cost.reason == "machine time: seconds a query were not measured: set latency.enabled"
    assert cost.fixed is not None


def test_without_prices_cost_is_tokens() -> None:
    cost = arm_cost(use(), FREE, n_queries=10)
    assert (cost.unit, cost.per_query, cost.total, cost.fixed, cost.parts) == ("tokens", 520.0, 5200.0, None, ())
    assert cost.reason == "no prices"


def test_ranking_spreads_the_fixed_cost_over_the_queries() -> None:
    uses = [use("base", index_seconds=0.0, tuning_seconds=0.0, storage_bytes=0, seconds=0.5), use("tuned")]
    few, many = (rank_costs(uses, BY_HOUR, n_queries=n) for n in (1000, 100_000))
    # Base .0005 a query; tuned 2.3 / n + .00025.
    assert few.values == pytest.approx({"base": 0.0005, "tuned": 0.00255})
    assert many.values == pytest.approx({"base": 0.0005, "tuned": 0.000273})
    assert (few.unit, few.reason) == ("EUR", None)


def test_one_arm_without_a_price_puts_every_arm_in_tokens() -> None:
    prices = PriceSettings(prompt_million=2.0, answer_million=10.0)
    base = use("base", index_seconds=0.0, tuning_seconds=0.0, storage_bytes=0, prompt_tokens=50.0)
    ranking = rank_costs([base, use("tuned")], prices, n_queries=10)
    assert (ranking.unit, ranking.values) == ("tokens", {"base": 70.0, "tuned": 520.0})
    assert (ranking.reason or "").startswith("tuned: index: no price: prices.machine_hour")
    assert rank_costs([base], FREE, n_queries=10).reason == "no prices"


def test_an_arm_that_answered_nothing_has_no_rank_and_takes_no_money_from_the_others() -> None:
    failed = use("rag", prompt_tokens=None, answer_tokens=None, seconds=None, concurrency=None)
    ranking = rank_costs([use("tuned"), failed], BY_HOUR, n_queries=1)
    assert (ranking.unit, ranking.values["rag"]) == ("EUR", None)
    assert ranking.values["tuned"] == pytest.approx(2.30025)
    assert rank_costs([failed], FREE, n_queries=1).values == {"rag": None}


def test_use_is_measured_on_what_the_arm_answered_at_the_most_requests_at_once() -> None:
    answers = [
        answer("rag", "a", 100, 4), answer("rag", "b", 300, 8), answer("rag", "c", 0, 0, failed=True),
        answer("base", "a", 7, 7),
    ]  # fmt: skip
    rows = [latency("rag", "a", 9.0, concurrency=1), latency("rag", "a", 1.0), latency("rag", "b", 2.0),
            latency("rag", "c", None), latency("base", "a", 5.0)]  # fmt: skip
    found = measure_use("rag", answers, rows, index_seconds=3.0, storage_bytes=10)
    assert (found.prompt_tokens, found.answer_tokens, found.seconds, found.concurrency) == (200.0, 6.0, 1.5, 4)
    assert (found.index_seconds, found.tuning_seconds, found.storage_bytes) == (3.0, 0.0, 10)
    nothing = measure_use("tuned", answers, rows)
    assert (nothing.prompt_tokens, nothing.seconds, nothing.concurrency) == (None, None, None)


def test_a_study_of_one_request_at_a_time_costs_what_it_takes() -> None:
    rows = [latency("rag", "a", 1.0, concurrency=1), latency("rag", "b", 3.0, concurrency=1)]
    found = measure_use("rag", [answer("rag", "a", 1, 1)], rows)
    assert (found.seconds, found.concurrency) == (2.0, 1)


def test_costs_one_by_one_have_the_mean_that_is_on_the_bill() -> None:
    clusters = {"a": "s1", "b": "s2"}
    answers = [answer("rag", "a", 100, 4), answer("rag", "b", 300, 8), answer("rag", "unseen", 9, 9)]
    by_token = query_costs("rag", BY_TOKEN, answers=answers, latencies=[], clusters=clusters)
    assert by_token.values == pytest.approx({"a": 0.00024, "b": 0.00068})
    assert by_token.clusters == clusters
    bill = arm_cost(measure_use("rag", answers[:2], []), BY_TOKEN, n_queries=1)
    assert bill.per_query == pytest.approx(0.00046)


def test_a_failed_question_has_no_cost_and_several_seeds_count_with_their_mean() -> None:
    answers = [
        answer("tuned", "a", 100, 0, seed=0), answer("tuned", "a", 300, 0, seed=1),
        answer("tuned", "b", 0, 0, seed=0, failed=True),
    ]  # fmt: skip
    found = query_costs("tuned", BY_TOKEN, answers=answers, latencies=[], clusters={"a": "s", "b": "s"})
    assert found.values == {"a": pytest.approx(0.0004), "b": None}


def test_machine_time_varies_by_batch() -> None:
    rows = [latency("rag", "a", 1.0, batch=0), latency("rag", "b", 1.0, batch=0), latency("rag", "c", None, batch=1),
            latency("rag", "a", 7.0, batch=0, concurrency=1), latency("base", "a", 5.0)]  # fmt: skip
    found = query_costs("rag", BY_HOUR, answers=[], latencies=rows, clusters={})
    assert found.values == {"a": pytest.approx(0.001), "b": pytest.approx(0.001), "c": None}
    assert found.clusters == {"a": "batch 0", "b": "batch 0", "c": "batch 1"}


def test_costs_one_by_one_say_why_there_are_none() -> None:
    def why(prices: PriceSettings) -> str | None:
        found = query_costs("rag", prices, answers=[], latencies=[], clusters={"a": "s"})
        assert found.values == {}
        return found.reason

    assert why(FREE) == "no prices"
    assert why(BY_HOUR) == "seconds a query were not measured: set latency.enabled"
    assert "prices.machine_hour" in (why(PriceSettings(storage_gb_month=1.0)) or "")


@pytest.mark.parametrize("name", ["machine_hour", "storage_gb_month", "storage_months"])
@pytest.mark.parametrize("price", [-0.01, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused(name: str, price: float) -> None:
    with pytest.raises(ValidationError, match=name):
        PriceSettings.model_validate({name: price})


def test_a_negative_price_in_a_study_file_is_told_by_its_name(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("name: a\ncorpus: {folder: pdfs}\nprices: {machine_hour: -1}\n", encoding="utf-8")
    with pytest.raises(StudyError) as error:
        load_study(study)
    assert "prices.machine_hour = -1: Input should be greater than or equal to 0" in str(error.value.seen)


@pytest.mark.parametrize("name", ["prompt_million", "answer_million", "watts", "kilowatt_hour"])
def test_half_a_price_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="needed together"):
        PriceSettings.model_validate({name: 1.0})


@pytest.mark.parametrize("name", ["prompt_tokens", "seconds", "index_seconds", "tuning_seconds", "storage_bytes"])
def test_a_negative_quantity_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="tuned uses") as error:
        arm_cost(use(**{name: -1}), BY_HOUR, n_queries=1)
    assert name in str(error.value.seen)


def test_no_queries_are_refused() -> None:
    with pytest.raises(InputError, match="no queries"):
        arm_cost(use(), BY_HOUR, n_queries=0)
