"""Scores as a table of arms and metrics, and the questions' clusters: what every figure of the report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourfold.evals.clusters import choose_clusters
from fourfold.evals.estimate import Estimate
from fourfold.evals.seed_scores import Scores, SeedScores, on_each, scores_mean
from fourfold.types import Question, Score

UNSEEN = "document unseen"

# Per arm and metric: score per question id, None for a failed item.
Table = Mapping[str, Mapping[str, Scores]]


def scores_by_arm(scores: Sequence[Score]) -> Table:
    """The scores of every arm and metric; `SeedScores` for an arm with several tuning seeds."""
    runs: dict[tuple[str, str], dict[int | None, dict[str, float | None]]] = {}
    for score in scores:
        own = runs.setdefault((score.arm, score.metric), {})
        own.setdefault(score.tuning_seed, {})[score.question_id] = score.value
    table: dict[str, dict[str, Scores]] = {}
    for (arm, metric), by_seed in runs.items():
        only, *more = by_seed.values()
        table.setdefault(arm, {})[metric] = SeedScores([only, *more]) if more else only
    return table


def cluster_questions(questions: Sequence[Question]) -> tuple[str, dict[str, str]]:
    """What the clusters are ("document" or "section"), and the cluster of each question id."""
    kind, names = choose_clusters([q.doc_id for q in questions], [" › ".join(q.section) for q in questions])
    return kind, {question.question_id: name for question, name in zip(questions, names, strict=True)}


def scores_in(scores: Scores, clusters: Mapping[str, str]) -> Scores:
    """The scores of the questions that have a cluster here."""
    return on_each(scores, lambda run: {question: run[question] for question in clusters})


def mean_in(scores: Scores, clusters: Mapping[str, str]) -> Estimate:
    """Their mean with the cluster-robust interval."""
    return scores_mean(scores_in(scores, clusters), clusters)
