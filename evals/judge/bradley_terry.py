"""One strength per arm from who was preferred to whom: the Bradley-Terry model.

P(i is preferred to j) = 1 / (1 + exp(s_j − s_i)); a tie is half a win for each. Sources: Bradley & Terry 1952,
Biometrika 39; fitted by the minorisation-maximisation steps of Hunter 2004, Annals of Statistics 32(1), equation 3;
ties as in Chatbot Arena (Chiang et al. 2024, arXiv 2403.04132, section 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse.csgraph import connected_components

from fourfold.evals.estimate import Estimate
from fourfold.evals.judge.jackknife import cluster_jackknife

_STEPS = 10_000
_CONVERGED = 1e-10
# Ford 1957: a maximum exists exactly where a chain of wins leads from every arm to every other.
NO_MAXIMUM = "some arms never lose to the others (or were never compared): their lead has no upper bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """An arm's strength in logits, all arms' adding up to 0, with its interval by a jackknife over clusters."""

    arm: str
    logits: Estimate


def bradley_terry(wins: Mapping[tuple[str, str], float], arms: Sequence[str]) -> dict[str, float] | None:
    """Maximum-likelihood strengths.

    Args:
        wins: per ordered pair (i, j), how often i was preferred to j; a tie adds .5 both ways.
        arms: at least two.

    Returns:
        Logits per arm, adding up to 0; None where the likelihood has no maximum.
    """
    place = {arm: at for at, arm in enumerate(arms)}
    won = np.zeros((len(arms), len(arms)))
    for (i, j), n in wins.items():
        won[place[i], place[j]] += n
    n_strong, _ = connected_components(won > 0, directed=True, connection="strong")
    if len(arms) < 2 or n_strong > 1:
        return None
    met, total = won + won.T, won.sum(axis=1)
    strength = np.ones(len(arms))
    for _ in range(_STEPS):
        fresh = total / (met / (strength[:, None] + strength[None, :])).sum(axis=1)
        fresh /= np.exp(np.log(fresh).mean())
        moved = float(np.abs(np.log(fresh / strength)).max())
        strength = fresh
        if moved < _CONVERGED:
            break
    return {arm: float(value) for arm, value in zip(arms, np.log(strength), strict=True)}


def strengths(
    settled: Mapping[tuple[str, str, str], float | None], arms: Sequence[str], clusters: Mapping[str, str]
) -> tuple[Strength, ...]:
    """Every arm's strength.

    Args:
        settled: per question and two arms (a, b), 1 where a is preferred, 0 where b is, .5 for a tie; None where it
            failed.
        arms: those compared.
        clusters: cluster per question id; other questions are left out.
    """
    rows = [
        (a, b, value, clusters[question])
        for (question, a, b), value in settled.items()
        if value is not None and question in clusters and {a, b} <= set(arms)
    ]
    n_missing = sum(value is None and question in clusters for (question, _, _), value in settled.items())
    names = [row[3] for row in rows]

    def of(arm: str, places: Sequence[int]) -> float | None:
        wins: dict[tuple[str, str], float] = {}
        for at in places:
            a, b, value, _ = rows[at]
            wins[a, b] = wins.get((a, b), 0.0) + value
            wins[b, a] = wins.get((b, a), 0.0) + 1 - value
        found = bradley_terry(wins, arms)
        return None if found is None else found[arm]

    return tuple(
        Strength(
            arm=arm,
            logits=cluster_jackknife(partial(of, arm), names, undefined=NO_MAXIMUM, n_missing=n_missing),
        )
        for arm in arms
    )
