"""The Knowledge Filter's threshold, chosen on labelled pairs for a loss that one accepts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from fourfold.errors import QuestionError
from fourfold.retrieval.modules.knowledge_filter import Judgement, LabelledPair

# Points of a stored curve, at most: enough to draw it.
MAX_POINTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdPoint:
    """What a threshold does: `lost` is the share of entailed pairs under it, `gone` of the others (0 to 1)."""

    threshold: float
    lost: float
    gone: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdCurve:
    """A calibration: the points tried, the chosen one, pairs of each kind, and pairs that were not scored."""

    points: tuple[ThresholdPoint, ...]
    chosen: ThresholdPoint
    n_entailed: int
    n_others: int
    n_failed: int


def calibrate_threshold(
    pairs: Sequence[LabelledPair], judgements: Sequence[Judgement], *, max_lost: float
) -> ThresholdCurve:
    """The highest threshold that loses at most `max_lost` of the entailed pairs.

    Tried are 0, which keeps everything, and the middle between each two scores: a threshold that is somebody's score
    would be decided by rounding, since a score depends a little on what it was computed with. Pairs that were not
    scored are counted and take no part.

    Args:
        pairs: labelled pairs.
        judgements: one for each, with scores.
        max_lost: in [0, 1).

    Raises:
        QuestionError: no scored pair is entailed, or every one is.
    """
    scored = [(one.score, pair.entailed) for pair, one in zip(pairs, judgements, strict=True) if one.score is not None]
    entailed = [score for score, label in scored if label]
    others = [score for score, label in scored if not label]
    if not entailed or not others:
        raise QuestionError(
            "the knowledge filter's threshold cannot be calibrated",
            seen=f"{len(entailed)} scored passages with the answer, {len(others)} without, "
            f"{len(pairs) - len(scored)} not scored",
            expected="at least one of each",
            hint="raise questions.n_tuning, or name retrieval.knowledge_filter.threshold",
        )
    points = [
        ThresholdPoint(
            threshold=threshold,
            lost=sum(score < threshold for score in entailed) / len(entailed),
            gone=sum(score < threshold for score in others) / len(others),
        )
        for threshold in _thresholds([score for score, _ in scored])
    ]
    # 0 loses nothing, so there always is one.
    chosen = max((point for point in points if point.lost <= max_lost), key=lambda point: point.threshold)
    step = max(1, -(-len(points) // MAX_POINTS))
    return ThresholdCurve(
        points=tuple(points[::step]),
        chosen=chosen,
        n_entailed=len(entailed),
        n_others=len(others),
        n_failed=len(pairs) - len(scored),
    )


def _thresholds(scores: Sequence[float]) -> list[float]:
    different = sorted(set(scores))
    return [0.0, *((low + high) / 2 for low, high in itertools.pairwise(different))]
