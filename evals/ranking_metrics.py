"""Retrieval against relevance judgements of whole passages, as public collections have them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fourfold.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingScore:
    """One question's ranking at k, each in [0, 1].

    `recall` is the share of the relevant passages that are among the first k, `reciprocal_rank` 1 / the rank of the
    first relevant one (0 if none of k is), `ndcg` the discounted gain as a share of the greatest one.
    """

    recall: float
    reciprocal_rank: float
    ndcg: float


def score_ranking(ranked: Sequence[str], relevance: Mapping[str, int], *, k: int) -> RankingScore:
    """Score the first k passages, best first.

    nDCG: gains are the judgements themselves, discounted by 1 / log2(1 + rank); the ideal ranking has all judged
    passages in order of their gain. Järvelin & Kekäläinen 2002, eq. 2, as trec_eval's `ndcg_cut`.

    Args:
        ranked: ids of passages, no id twice.
        relevance: of the judged passages: 0 not relevant, 1 or more relevant, the higher the more. Others count as 0.
        k: at least 1; a shorter ranking is scored as it is.

    Raises:
        InputError: no passage is relevant, so that there is nothing to find.
        ValueError: the ranking repeats a passage, k is under 1, or a judgement is below 0.
    """
    if k < 1 or min(relevance.values(), default=0) < 0:
        raise ValueError(f"k = {k} and judgements from 0 up: {relevance}")
    if len(set(ranked)) < len(ranked):
        raise ValueError("the ranking repeats a passage")
    n_relevant = sum(gain > 0 for gain in relevance.values())
    if n_relevant == 0:
        raise InputError(
            "a ranking cannot be scored without a relevant passage",
            seen=f"{len(relevance)} judged, none above 0",
            expected="at least one relevant passage",
            hint="leave such questions out",
        )
    gains = [relevance.get(item, 0) for item in ranked[:k]]
    first = next((rank for rank, gain in enumerate(gains, start=1) if gain > 0), None)
    ideal = sorted(relevance.values(), reverse=True)[:k]
    return RankingScore(
        recall=sum(gain > 0 for gain in gains) / n_relevant,
        reciprocal_rank=1 / first if first else 0.0,
        ndcg=_dcg(gains) / _dcg(ideal),
    )


def _dcg(gains: Sequence[int]) -> float:
    return math.fsum(gain / math.log2(1 + rank) for rank, gain in enumerate(gains, start=1))
