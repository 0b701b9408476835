from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, mstats

from fourfold.errors import InputError
from fourfold.evals.latency import MIN_QUESTIONS, arm_latencies, quantile
from fourfold.types import Arm, Latency


def row(
    arm: Arm, place: int, seconds: float | None, *, concurrency: int = 1, retrieval: float | None = None
) -> Latency:
    return Latency(
        arm=arm, question_id=f"q{place}", batch=place, concurrency=concurrency, seconds=seconds,
        retrieval_seconds=retrieval, n_prompt_tokens=5, n_answer_tokens=2,
        failure=None if seconds is not None else "too long",
    )  # fmt: skip


def test_the_median_of_1_to_30_lies_between_the_10th_and_the_21st() -> None:
    # Conover 1999, table A3: Binomial(30, 1/2) is at most 9 with probability .0214, at most 10 with .0494.
    found = quantile([float(k) for k in range(30, 0, -1)], 0.5)
    assert (found.value, found.low, found.high, found.reason) == (15.5, 10.0, 21.0, None)
    assert (found.n, found.n_missing, found.se, found.dof) == (30, 0, None, None)


@pytest.mark.parametrize("n", [30, 31, 47, 100, 365])
@pytest.mark.parametrize("q", [0.5, 0.95])
def test_the_point_agrees_with_scipys_type_8_quantile(n: int, q: float) -> None:
    times = np.random.default_rng(n).exponential(size=n)
    expected = float(mstats.mquantiles(times, [q], alphap=1 / 3, betap=1 / 3)[0])
    assert quantile(times.tolist(), q).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [30, 31, 64, 200])
def test_the_medians_interval_is_the_narrowest_symmetric_one_that_covers_enough(n: int) -> None:
    found = quantile([float(k) for k in range(1, n + 1)], 0.5)
    assert found.low is not None
    assert found.high == n + 1 - found.low
    k = int(found.low)
    assert 1 - 2 * binom.cdf(k - 1, n, 0.5) >= 0.95
    assert 1 - 2 * binom.cdf(k, n, 0.5) < 0.95


def test_the_medians_interval_covers_a_skewed_distribution() -> None:
    rng = np.random.default_rng(5)
    truth = np.exp(0.0)
    intervals = [quantile(rng.lognormal(sigma=1.5, size=30).tolist(), 0.5) for _ in range(400)]
    inside = [
        found.low <= truth <= found.high for found in intervals if found.low is not None and found.high is not None
    ]
    # Exactly .957 by the binomial; 3.3 standard errors of 400 draws below it.
    assert len(inside) == 400
    assert np.mean(inside) > 0.923


def test_p95_has_an_upper_end_from_72_answers_on() -> None:
    # .95^71 = .0262, .95^72 = .0249: only then is the largest value over the p95 with probability .975.
    few, enough = (quantile([float(k) for k in range(n)], 0.95) for n in (71, 72))
    assert few.value is not None
    assert (few.low, few.high) == (62.0, None)
    assert few.reason == "no upper end: too few requests for this quantile"
    assert (enough.high, enough.reason) == (71.0, None)


def test_under_30_answers_there_is_no_figure_but_a_reason() -> None:
    found = quantile([1.0] * (MIN_QUESTIONS - 1) + [None] * 5, 0.5)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.reason == "29 answered requests: at least 30 are needed"
    assert (found.n, found.n_missing) == (29, 5)


def test_equal_times_give_that_time() -> None:
    found = quantile([0.25] * 30, 0.5)
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)


def test_requests_made_several_at_once_do_not_count_as_waiting() -> None:
    alone = [row("base", k, 1.0) for k in range(30)]
    together = [row("base", k, 0.01, concurrency=8) for k in range(300)]
    (found,) = arm_latencies([*together, *alone])
    assert (found.arm, found.p50.value, found.p50.n) == ("base", 1.0, 30)


def test_each_arm_has_its_own_times_and_only_retrieving_ones_a_retrieval_time() -> None:
    rows = [r for k in range(30) for r in (row("rag", k, 3.0 + k, retrieval=0.5), row("base", k, 1.0 + k))]
    rag, base = arm_latencies(rows)
    assert (rag.arm, rag.p50.value, rag.retrieval_p50.value) == ("rag", 17.5, 0.5)
    assert (base.arm, base.p50.value) == ("base", 15.5)
    assert (base.retrieval_p50.value, base.retrieval_p50.reason) == (None, "no retrieval")


def test_no_rows_no_arms() -> None:
    assert arm_latencies([]) == ()


@pytest.mark.parametrize("time", [-0.1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(time: float) -> None:
    with pytest.raises(InputError) as error:
        quantile([1.0] * 30 + [time], 0.5)
    assert error.value.seen is time


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_a_level_outside_0_to_1_is_refused(level: float) -> None:
    with pytest.raises(InputError, match="level"):
        quantile([1.0] * 30, 0.5, level=level)
