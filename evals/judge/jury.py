"""Several judgements of one answer made into one score, and how far the judges agree.

Sources: the mean over judges and samples of M-LongDoc (arXiv 2411.06176; three judges, five samples); agreement of
juries by kappa, as in "Fellowship of the LLMs".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, pstdev
from typing import Literal

from fourfold.evals.judge.cohen import cohen_kappa
from fourfold.evals.judge.fleiss import fleiss_kappa
from fourfold.evals.judge.krippendorff import krippendorff_alpha
from fourfold.evals.judge.rubric import RIGHT_FROM

Combine = Literal["mean", "vote"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JuryAgreement:
    """How far the judges of a jury agree, each judge's mean over its repeats; None where undefined.

    Args:
        cohen: of every two judges, on right or not.
        fleiss: of all, on right or not, over the answers that every judge scored.
        alpha: Krippendorff's, interval scale, over all scores.
        spread: mean over answers and judges of the standard deviation over repeats; None without repeats.
    """

    cohen: tuple[tuple[str, str, float | None], ...]
    fleiss: float | None
    alpha: float | None
    spread: float | None


def combine(values: Sequence[float], how: Combine, levels: Sequence[float]) -> float:
    """One score of several.

    Args:
        values: in [0, 1], at least one.
        how: their mean; or the level that most of them are nearest to, the mean of the levels where several are.
        levels: what the levels are worth.
    """
    if how == "mean":
        return fmean(values)
    votes = Counter(min(levels, key=lambda level: (abs(level - value), level)) for value in values)
    most = max(votes.values())
    return fmean(level for level, n in votes.items() if n == most)


def agreement(scores: Mapping[str, Sequence[Sequence[float | None]]]) -> JuryAgreement:
    """Agreement of a jury.

    Args:
        scores: per judge, per answer (the same for all), each repeat's value; None where it failed.
    """
    means = {judge: [_mean(repeats) for repeats in of_judge] for judge, of_judge in scores.items()}
    rows = list(zip(*means.values(), strict=True))
    whole = [[value >= RIGHT_FROM for value in row if value is not None] for row in rows if None not in row]
    spreads = [
        pstdev(known)
        for of_judge in scores.values()
        for repeats in of_judge
        if len(known := [value for value in repeats if value is not None]) > 1
    ]
    return JuryAgreement(
        cohen=tuple((a, b, _pair(means[a], means[b])) for a, b in combinations(means, 2)),
        fleiss=fleiss_kappa(whole) if len(means) > 1 else None,
        alpha=krippendorff_alpha(rows, scale="interval") if len(means) > 1 else None,
        spread=fmean(spreads) if spreads else None,
    )


def _mean(repeats: Sequence[float | None]) -> float | None:
    known = [value for value in repeats if value is not None]
    return fmean(known) if known else None


def _pair(a: Sequence[float | None], b: Sequence[float | None]) -> float | None:
    both = [(x >= RIGHT_FROM, y >= RIGHT_FROM) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    return cohen_kappa([x for x, _ in both], [y for _, y in both])
