"""What the report says of the tuned adapter itself: is it the model that was measured, and what has tuning cost?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fourfold.evals.estimate import Estimate
from fourfold.evals.report.table import Table, scores_by_arm, scores_in
from fourfold.evals.seed_scores import Scores, paired_mean, scores_mean
from fourfold.types import Arm, Score

REFUSAL = "refusal"

CheckMetric = Literal[
    "identical tokens: merged", "logit gap: merged", "identical tokens: 4-bit reload", "logit gap: 4-bit reload",
    "general knowledge", "nats a token",
    "recall: tuning question", "recall: reworded", "recall: unseen", "completion",
    "stale answer",
    "follows: edited", "recites: edited", "follows: given", "recites: given",
]  # fmt: skip
Check = Literal["forgetting", "memorisation", "context reliance", "abstention"]

# Which arm stands for the base and which for the adapter, and what the figure is, in words for the report.
_ROWS: tuple[tuple[Check, CheckMetric, Arm, Arm, str], ...] = (
    ("forgetting", "general knowledge", "base", "tuned", "general four-option items, share right (chance .25)"),
    ("forgetting", "nats a token", "base", "tuned", "text of another subject, nats a token (lower is better)"),
    ("memorisation", "recall: tuning question", "base", "tuned", "tuning questions, key-fact recall"),
    ("memorisation", "recall: reworded", "base", "tuned", "the same, reworded by rule"),
    ("memorisation", "recall: unseen", "base", "tuned", "test questions whose fact was not asked in tuning"),
    ("memorisation", "completion", "base", "tuned", "second half of a tuning reference, share written verbatim"),
    ("context reliance", "follows: edited", "rag", "tuned + rag", "facts edited in their passage: follows the passage"),
    ("context reliance", "recites: edited", "rag", "tuned + rag", "facts edited in their passage: says the old one"),
    ("context reliance", "follows: given", "rag", "tuned + rag", "counterfactual file: follows the passage"),
    ("context reliance", "recites: given", "rag", "tuned + rag", "counterfactual file: says what is true"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRefresh:
    """What an arm takes before it knows changed documents; `cost` in the study's currency, None without a price."""

    arm: str
    seconds: float
    cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """The documents that changed after tuning, and the test questions whose quote stands in none of them any more."""

    changed: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]
    n_questions: int
    n_stale: int
    refresh: tuple[ArmRefresh, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmUpdate:
    """One arm after the update: share of the stale questions to which it still gives the old answer."""

    refresh: ArmRefresh
    stale: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRows:
    """What the checks stored, and the limits they are held to.

    Args:
        seed: of the adapter that was checked.
        scores: one row an item, arm and metric.
        sections: per id of a tuning or test question, its section; an item without one is a cluster of its own.
        perplexity: by arm, over all tokens of the other text; empty where there was none.
        n_prompts_equal: prompts whose bytes were the same in tuning and answering; None where nobody compared.
        notes: what was not carried out, and why.
        min_identical: least share of identical greedy tokens.
        max_logit_gap: largest difference of a logit, natural units.
        update: documents that changed after tuning; None where the study names none.
    """

    seed: int
    scores: Sequence[Score]
    sections: Mapping[str, str]
    perplexity: Mapping[str, float]
    n_prompts_equal: int | None
    notes: tuple[str, ...]
    min_identical: float
    max_logit_gap: float
    update: Update | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckShown:
    """One figure without the adapter, with it, and the paired change (with − without)."""

    check: Check
    what: str
    without: Estimate
    tuned: Estimate
    change: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitShown:
    """A figure of the adapter in another form against its limit; both None exactly where `reason` says why."""

    what: str
    value: float | None
    limit: float
    met: bool | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftShown:
    """Mean change of documents' log-probability after an epoch, nats a token; None where there was no document."""

    epoch: int
    gold: float | None
    distractor: float | None
    unseen: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksSection:
    """The section. `seed` is None where only the stages that every study has were looked at."""

    seed: int | None
    limits: tuple[LimitShown, ...]
    rows: tuple[CheckShown, ...]
    drift: tuple[DriftShown, ...]
    perplexity: Mapping[str, float]
    n_prompts_equal: int | None
    notes: tuple[str, ...]
    update: Update | None = None
    updated: tuple[ArmUpdate, ...] = ()


def show_checks(
    rows: CheckRows | None, tuned: Mapping[str, Any] | None, table: Table, unanswerable: Mapping[str, str]
) -> ChecksSection | None:
    """The section; None where there is nothing to show.

    Args:
        rows: what the checks stored; None where they were not carried out.
        tuned: summary of the first adapter's tuning; None where nothing was tuned.
        table: the study's scores by arm and metric.
        unanswerable: cluster per id of the questions that nothing in the documents answers.
    """
    drift = tuple(DriftShown(**epoch) for epoch in (tuned or {}).get("drift", ()))
    declined = _abstention(table, unanswerable) if tuned is not None else []
    if rows is None:
        if not drift and not declined:
            return None
        return ChecksSection(
            seed=None, limits=(), rows=tuple(declined), drift=drift, perplexity={}, n_prompts_equal=None, notes=()
        )
    own = scores_by_arm(rows.scores)
    shown = [_shown(own, rows.sections, row) for row in _ROWS if row[1] in own.get(row[2], {})]
    return ChecksSection(
        seed=rows.seed,
        limits=_limits(rows),
        rows=(*shown, *_by_heart(own, rows.sections), *declined),
        drift=drift,
        perplexity=rows.perplexity,
        n_prompts_equal=rows.n_prompts_equal,
        notes=rows.notes,
        update=rows.update,
        updated=_updated(rows, own),
    )


def check_caveats(section: ChecksSection | None) -> tuple[str, ...]:
    """What must be known before the adapter is used in another form than the one that was measured."""
    missed = [limit for limit in section.limits if limit.met is False] if section is not None else []
    return tuple(
        f"The adapter in another form is not the one that was measured: {limit.what} is {limit.value:.3g}, the limit "
        f"{limit.limit:g}."
        for limit in missed
    )


def _shown(own: Table, sections: Mapping[str, str], row: tuple[Check, CheckMetric, Arm, Arm, str]) -> CheckShown:
    check, metric, without, tuned, what = row
    before, after = own[without][metric], own[tuned][metric]
    return _compared(check, what, before, after, {item: sections.get(item, item) for item in before})


def _compared(check: Check, what: str, before: Scores, after: Scores, clusters: Mapping[str, str]) -> CheckShown:
    return CheckShown(
        check=check,
        what=what,
        without=scores_mean(before, clusters),
        tuned=scores_mean(after, clusters),
        change=paired_mean(after, before, clusters),
    )


def _by_heart(own: Table, sections: Mapping[str, str]) -> list[CheckShown]:
    """What a tuned question's recall loses when it is reworded: a fact keeps it, a memorised row does not."""
    if "recall: reworded" not in own.get("tuned", {}):
        return []
    without, tuned = (_lost(own[arm]) for arm in ("base", "tuned"))
    clusters = {item: sections.get(item, item) for item in tuned}
    return [_compared("memorisation", "recall lost by rewording", without, tuned, clusters)]


def _lost(of_arm: Mapping[str, Scores]) -> dict[str, float | None]:
    asked, reworded = of_arm["recall: tuning question"], of_arm["recall: reworded"]
    pairs = {item: (asked[item], reworded[item]) for item in asked}
    return {item: None if a is None or b is None else a - b for item, (a, b) in pairs.items()}


def _abstention(table: Table, unanswerable: Mapping[str, str]) -> list[CheckShown]:
    pairs: tuple[tuple[Arm, Arm], ...] = (("base", "tuned"), ("rag", "tuned + rag"))
    return [
        _compared(
            "abstention",
            f"unanswerable questions declined, {tuned}",
            scores_in(table[without][REFUSAL], unanswerable),
            scores_in(table[tuned][REFUSAL], unanswerable),
            unanswerable,
        )
        for without, tuned in pairs
        if unanswerable and {without, tuned} <= table.keys()
    ]


def _updated(rows: CheckRows, own: Table) -> tuple[ArmUpdate, ...]:
    if rows.update is None or rows.update.n_stale == 0:
        return ()
    found = []
    for one in rows.update.refresh:
        stale = own[one.arm]["stale answer"]
        clusters = {item: rows.sections.get(item, item) for item in stale}
        found.append(ArmUpdate(refresh=one, stale=scores_mean(stale, clusters)))
    return tuple(found)


def _limits(rows: CheckRows) -> tuple[LimitShown, ...]:
    shown = []
    for metric in dict.fromkeys(score.metric for score in rows.scores):
        kind, _, variant = metric.partition(": ")
        if kind not in {"identical tokens", "logit gap"}:
            continue
        own = [score for score in rows.scores if score.metric == metric]
        values = [score.value for score in own if score.value is not None]
        share = kind == "identical tokens"
        limit = rows.min_identical if share else rows.max_logit_gap
        what = f"{variant}: {'share of identical greedy tokens' if share else 'largest difference of a logit'}"
        if not values:
            shown.append(LimitShown(what=what, value=None, limit=limit, met=None, reason=own[0].reason))
            continue
        value = sum(values) / len(values) if share else max(values)
        met = value >= limit if share else value <= limit
        shown.append(LimitShown(what=what, value=value, limit=limit, met=met))
    return tuple(shown)
