"""By how much text that asks for full marks moves a judge, on answers of the study itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.estimate import Estimate
from fourfold.evals.judge.injections import INJECTIONS, inject
from fourfold.evals.judge.pointwise import judge_items
from fourfold.evals.judge.port import Judge, JudgeItem, Opinion
from fourfold.evals.judge.rubric import Rubric


def injected(items: Sequence[JudgeItem], rubric: Rubric) -> list[JudgeItem]:
    """One item for each injected text, answers taken in turn; their ids end with the text's number."""
    if not items:
        return []
    return [
        replace(item, item_id=f"{item.item_id}#{number}", answer=inject(item.answer, number, rubric.labels[0]))
        for number in range(len(INJECTIONS))
        for item in [items[number % len(items)]]
    ]


def measure_shift(judge: Judge, rubric: Rubric, items: Sequence[JudgeItem], clusters: Mapping[str, str]) -> Estimate:
    """Mean score with the injected text less without it, in [-1, 1]; above 0 the judge obeys.

    Args:
        judge: who judges.
        rubric: by what.
        items: answers of the study.
        clusters: cluster per item id.

    Returns:
        The mean over all injected texts with its cluster-robust interval; texts on which the judge failed, with or
        without, are missing.
    """
    attacked = injected(items, rubric)
    used = items[: len(INJECTIONS)]
    plain = {opinion.item_id: opinion for opinion in judge_items(judge, rubric, used)}
    moved = judge_items(judge, rubric, attacked)
    origins = [opinion.item_id.rpartition("#")[0] for opinion in moved]
    differences = [_difference(opinion, plain[origin]) for opinion, origin in zip(moved, origins, strict=True)]
    return cluster_mean(differences, [clusters[origin] for origin in origins])


def _difference(moved: Opinion, plain: Opinion) -> float | None:
    return None if moved.value is None or plain.value is None else moved.value - plain.value
