"""Cost, latency and break-even of a study's arms, from its rows and its stages' own times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fourfold.arms import PLAN
from fourfold.evals.break_even import BreakEven, PricedArm, break_even
from fourfold.evals.cost import ArmCost, ArmUse, Ranking, arm_cost, has_prices, measure_use, query_costs, rank_costs
from fourfold.evals.latency import ArmLatency, arm_latencies
from fourfold.study import StudySettings
from fourfold.types import Answer, Latency

# One study without refreshes, then a corpus that changes once and four times a month.
REFRESHES_A_MONTH = (None, 1.0, 4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageUse:
    """What one finished stage took: machine seconds, and bytes of what it keeps."""

    seconds: float
    n_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the contestants use and cost. `ranking` is the cost a query that the verdict ranks them by."""

    uses: tuple[ArmUse, ...]
    ranking: Ranking
    bills: tuple[ArmCost, ...]
    latency: tuple[ArmLatency, ...]
    break_even: tuple[BreakEven, ...] = ()


def measure_costs(
    study: StudySettings,
    answers: Sequence[Answer],
    latencies: Sequence[Latency],
    stages: Mapping[str, StageUse],
) -> Costs:
    """Bills and waiting times of every contestant.

    Args:
        study: its prices and number of queries.
        answers: of the questions that the verdict rests on.
        latencies: of the latency stage; empty where the study has none.
        stages: by name; looked at where the study has prices or limits the time of tuning.
    """
    uses = [_use(study, arm, answers, latencies, stages) for arm in study.answer.arms]
    n_queries = study.verdict.n_queries
    return Costs(
        uses=tuple(uses),
        ranking=rank_costs(uses, study.prices, n_queries=n_queries),
        bills=tuple(arm_cost(use, study.prices, n_queries=n_queries) for use in uses),
        latency=arm_latencies(latencies),
    )


def _use(
    study: StudySettings,
    arm: str,
    answers: Sequence[Answer],
    latencies: Sequence[Latency],
    stages: Mapping[str, StageUse],
) -> ArmUse:
    if not has_prices(study.prices) and study.verdict.constraints.max_tuning_hours is None:
        return measure_use(arm, answers, latencies)
    plan = PLAN[arm]
    tunes_on_contexts = plan.adapter is not None and study.tuning.shows_contexts
    # An adapter that learnt with contexts needed the index to be made; only an arm that retrieves keeps it.
    indexed = plan.retrieves or tunes_on_contexts
    # Examples are tuning questions too: they were written once.
    wrote = plan.shots or plan.adapter is not None
    tuning = [stages["questions"].seconds] * wrote + [stages["tune"].seconds] * (plan.adapter is not None)
    return measure_use(
        arm,
        answers,
        latencies,
        index_seconds=stages["index"].seconds if indexed else 0.0,
        tuning_seconds=sum(tuning),
        storage_bytes=(stages["index"].n_bytes if plan.retrieves else 0)
        + (stages["tune"].n_bytes if plan.adapter else 0),
    )


def find_break_even(
    study: StudySettings,
    costs: Costs,
    qualified: Sequence[str],
    *,
    answers: Sequence[Answer],
    latencies: Sequence[Latency],
    clusters: Mapping[str, str],
) -> tuple[BreakEven, ...]:
    """Number of queries from which the tuned arm is cheaper than the RAG arm, without and with corpus refreshes.

    Args:
        study: its prices.
        costs: what `measure_costs` gave.
        qualified: the arms that the verdict shows not worse than any other.
        answers: as for `measure_costs`.
        latencies: likewise.
        clusters: cluster per question id.

    Returns:
        One entry per number of refreshes; none for a study without prices, or without both arms.
    """
    if not has_prices(study.prices) or not {"tuned", "rag"} <= set(study.answer.arms):
        return ()
    arms = {
        bill.arm: PricedArm(
            cost=bill,
            queries=query_costs(bill.arm, study.prices, answers=answers, latencies=latencies, clusters=clusters),
        )
        for bill in costs.bills
    }
    return tuple(
        break_even(arms, tuned="tuned", rag="rag", qualified=qualified, refreshes_a_month=refreshes)
        for refreshes in REFRESHES_A_MONTH
    )
