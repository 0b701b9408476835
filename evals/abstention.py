"""Does an arm decline where it should? Precision and recall of refusals against what the documents can answer.

"Positive" is a refusal, "true" an unanswerable question, as in SQuAD 2.0's no-answer questions (Rajpurkar et al. 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourfold.evals.estimate import Estimate

NOT_RECORDED = "not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """One arm's refusals, each with the cluster-robust interval.

    Args:
        precision: share of the refused questions that are unanswerable; its `n` are the refused ones.
        recall: share of the unanswerable questions that are refused; its `n` are the unanswerable ones.
    """

    precision: Estimate
    recall: Estimate


def score_abstention(
    refused: Sequence[bool | None],
    answerable: Sequence[bool | None],
    clusters: Sequence[str],
    *,
    level: float = 0.95,
) -> Abstention:
    """Precision and recall of one arm's refusals.

    Both are means over a part of the questions (a ratio of two random counts, which the cluster-robust variance takes
    into account). A failed answer is missing from precision, and from recall if its question is unanswerable; a refused
    question that nobody marked is missing from precision.

    Args:
        refused: per question, whether the arm declined; None where it failed.
        answerable: per question, whether the documents answer it; None where nobody recorded it.
        clusters: one cluster per question.
        level: coverage of each interval by itself, in (0, 1).

    Returns:
        Both; None with "not recorded" where no question is marked, else with what there is none of.

    Raises:
        InputError: lengths differ, or `level` is outside (0, 1).
    """
    if not len(refused) == len(answerable) == len(clusters):
        raise InputError(
            "refusals and questions do not match",
            seen=f"{len(refused)} refusals, {len(answerable)} marks, {len(clusters)} clusters",
            expected="one of each per question",
            hint="take all from the same list of questions",
        )
    rows = list(zip(refused, answerable, clusters, strict=True))
    recorded = any(mark is not None for mark in answerable)
    among_refused = [(None if no is None else _not(mark), cluster) for no, mark, cluster in rows if no is not False]
    among_unanswerable = [(None if no is None else float(no), cluster) for no, mark, cluster in rows if mark is False]
    return Abstention(
        precision=_mean(among_refused, level, "no question was refused" if recorded else NOT_RECORDED),
        recall=_mean(among_unanswerable, level, "no question is unanswerable" if recorded else NOT_RECORDED),
    )


def _not(mark: bool | None) -> float | None:
    return None if mark is None else float(not mark)


def _mean(rows: Sequence[tuple[float | None, str]], level: float, if_none: str) -> Estimate:
    estimate = cluster_mean([value for value, _ in rows], [cluster for _, cluster in rows], level=level)
    if estimate.value is not None:
        return estimate
    # Rows that are all missing are no proof that there are none of their kind.
    return replace(
        estimate, reason=if_none if if_none == NOT_RECORDED or not rows else "every such question is missing"
    )
