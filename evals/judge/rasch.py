"""How severe each judge is, and what an answer's score would be with that taken out: the faceted Rasch model.

log P(item i gets level k of judge j) / P(level k - 1) = theta_i − severity_j − step_k, severities and steps each
adding up to 0. Source: Linacre 1989, "Many-Facet Rasch Measurement", rating-scale form (Andrich 1978, Psychometrika
43(4)). Where we differ: the abilities theta are integrated out (normal, mean and spread estimated; Bock & Aitkin 1981,
Psychometrika 46(4)), not estimated jointly: jointly, severities of three judges come out half as large again (Andersen
1980: L / (L - 1) for L judges), and an answer with top marks from every judge has no finite ability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import optimize, special

from fourfold.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Places: TypeAlias = NDArray[np.int64]

# Gauss-Hermite: twice as many move a severity by less than .001 (test_more_nodes_move_nothing).
_NODES = 31
# A level that nobody named, or judges who never differ, would send a parameter to infinity.
_LOGITS = (-8.0, 8.0)
_LOG_SPREAD = (-3.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Severity:
    """What the model found.

    Args:
        severity: per judge, logits, adding up to 0; above 0 is severer than the others.
        fair: per item, the value expected of a judge of severity 0, in the unit of the levels; None for an item
            without a rating.
        reason: why there is no severity; None where there is. `fair` then holds None throughout.
    """

    severity: Mapping[str, float]
    fair: tuple[float | None, ...]
    reason: str | None


def judge_severity(ratings: Mapping[str, Sequence[int | None]], levels: Sequence[float]) -> Severity:
    """Fit the model.

    Args:
        ratings: per judge, per item (the same for all) the place of the level named, 0 the worst; None where there is
            none.
        levels: what each level is worth, worst first.

    Raises:
        InputError: judges rated different numbers of items, or a place that is no level.
    """
    _check(ratings, len(levels))
    judges = list(ratings)
    n_items = len(ratings[judges[0]]) if judges else 0
    rows = [
        (item, number, level)
        for number, judge in enumerate(judges)
        for item, level in enumerate(ratings[judge])
        if level is not None
    ]
    reason = _why_not(rows, len(judges), n_items)
    if reason is not None:
        return Severity(severity={}, fair=(None,) * n_items, reason=reason)
    item, judge, level = (np.array(column) for column in zip(*rows, strict=True))
    data = _Rated(item=item, judge=judge, level=level, n_items=n_items, n_judges=len(judges), n_steps=len(levels) - 1)
    n_others = len(judges) + len(levels) - 1
    found = optimize.minimize(
        _loss, np.zeros(2 + n_others), args=(data,), jac=True, method="L-BFGS-B",
        bounds=[_LOGITS, _LOG_SPREAD, *[_LOGITS] * n_others], options={"ftol": 1e-10, "gtol": 1e-5},
    )  # fmt: skip
    fair = _fair(found.x, data, np.array(levels, dtype=np.float64))
    rated = set(item.tolist())
    return Severity(
        severity={name: float(value) for name, value in zip(judges, _parts(found.x, data)[2], strict=True)},
        fair=tuple(float(fair[at]) if at in rated else None for at in range(n_items)),
        reason=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rated:
    """Ratings as columns: int64 [R] each, and how many items, judges and steps there are."""

    item: Places
    judge: Places
    level: Places
    n_items: int
    n_judges: int
    n_steps: int


def _why_not(rows: Sequence[tuple[int, int, int]], n_judges: int, n_items: int) -> str | None:
    if n_judges < 2:
        return "one judge: its severity cannot be told from how good the answers are"
    judges_of: dict[int, set[int]] = {item: set() for item in range(n_items)}
    for item, judge, _ in rows:
        judges_of[item].add(judge)
    # Judges are comparable where a chain of answers that two of them rated leads from each to each.
    joined = {0}
    while more := {judge for own in judges_of.values() if own & joined for judge in own} - joined:
        joined |= more
    return None if len(joined) == n_judges else "no answers that link every judge to the others"


def _parts(x: Floats, data: _Rated) -> tuple[float, float, Floats, Floats]:
    """Mean and spread of the abilities, severities and steps; the latter two held to a sum of 0."""
    severity, steps = np.split(x[2:], [data.n_judges])
    return float(x[0]), float(np.exp(x[1])), severity - severity.mean(), steps - steps.mean()


def _nodes() -> tuple[Floats, Floats]:
    """Places and log-weights of the standard normal."""
    places, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return places, np.log(weights / weights.sum())


def _log_chances(ability: Floats, steps: Floats) -> Floats:
    """float64 [..., K]: the log-chance of each level, from k · ability − Σ of the first k steps."""
    climbed = np.concatenate([[0.0], np.cumsum(steps)])
    scores = ability[..., None] * np.arange(len(climbed)) - climbed
    found: Floats = scores - special.logsumexp(scores, axis=-1, keepdims=True)
    return found


def _posterior(x: Floats, data: _Rated) -> tuple[Floats, Floats, Floats]:
    """Log-likelihood [items], posterior over the nodes [items, Q], chances of every rating's levels [R, Q, K]."""
    mean, spread, severity, steps = _parts(x, data)
    places, log_weights = _nodes()
    log_chances = _log_chances(mean + spread * places[None, :] - severity[data.judge][:, None], steps)
    of_rating = np.take_along_axis(log_chances, data.level[:, None, None], axis=2)[:, :, 0]
    joint = np.tile(log_weights, (data.n_items, 1))
    np.add.at(joint, data.item, of_rating)
    likelihood = special.logsumexp(joint, axis=1)
    return likelihood, np.exp(joint - likelihood[:, None]), np.exp(log_chances)


def _loss(x: Floats, data: _Rated) -> tuple[float, Floats]:
    """Negative marginal log-likelihood and its gradient."""
    likelihood, posterior, chances = _posterior(x, data)
    weights = posterior[data.item]
    levels = np.arange(chances.shape[2])
    # The derivative by a rating's ability at a node: expected less observed level.
    excess = weights * (chances @ levels - data.level[:, None])
    by_severity = -np.bincount(data.judge, weights=excess.sum(axis=1), minlength=data.n_judges)
    at_least = chances[:, :, ::-1].cumsum(axis=2)[:, :, ::-1][:, :, 1:]
    reached = data.level[:, None, None] >= levels[1:]
    by_step = (weights[:, :, None] * (reached - at_least)).sum(axis=(0, 1))
    gradient = [[excess.sum(), float(np.exp(x[1])) * (excess * _nodes()[0]).sum()]]
    gradient += [by_severity - by_severity.mean(), by_step - by_step.mean()]
    return -float(likelihood.sum()), np.concatenate(gradient)


def _fair(x: Floats, data: _Rated, levels: Floats) -> Floats:
    """float64 [items]: the value expected of a judge of severity 0, over the posterior of each item's ability."""
    mean, spread, _, steps = _parts(x, data)
    _, posterior, _ = _posterior(x, data)
    expected = np.exp(_log_chances(mean + spread * _nodes()[0], steps)) @ levels
    fair: Floats = posterior @ expected
    return fair


def _check(ratings: Mapping[str, Sequence[int | None]], n_levels: int) -> None:
    numbers = sorted({len(own) for own in ratings.values()})
    odd = sorted({level for own in ratings.values() for level in own if level is not None} - set(range(n_levels)))
    if len(numbers) > 1 or odd:
        raise InputError(
            "ratings cannot be compared",
            seen=f"judges with {numbers} items, levels that are none: {odd}",
            expected=f"the same items for every judge, each with a level from 0 to {n_levels - 1} or None",
            hint="give None where a judge did not rate an item",
        )
