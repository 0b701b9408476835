"""tau and theta, chosen on training questions for a loss in recall that one accepts.

The paper sweeps tau and leaves theta at 3; both are calibrated here, since what counts as alike depends on the embedder
and on how many titles a subject has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fourfold.errors import InputError, QuestionError
from fourfold.retrieval.modules.trigger import Trigger, decide

TAUS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
THETAS = (1, 2, 3, 5, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationQuestion:
    """A training question against a memory that was filled without it.

    Args:
        cosines: of each of its queries and every title, [Q, T].
        gold: whether a title's knowledge holds the question's gold, [T].
        found: for each query, whether a search finds the gold, [Q].
    """

    cosines: NDArray[np.float32]
    gold: NDArray[np.bool_]
    found: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerPoint:
    """What one setting does: recall (0 to 1), and the share of queries that are searched (0 to 1)."""

    tau: float
    theta: int
    recall: float
    searched: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerCurve:
    """A calibration: recall if every query is searched, the points, and the chosen one."""

    always_recall: float
    points: tuple[TriggerPoint, ...]
    chosen: TriggerPoint
    n_questions: int


def calibrate_trigger(
    questions: Sequence[CalibrationQuestion],
    *,
    k: int,
    max_loss: float,
    taus: Sequence[float] = TAUS,
    thetas: Sequence[int] = THETAS,
) -> TriggerCurve:
    """The setting with the fewest searches whose recall is at most `max_loss` under that of searching always.

    A question counts as answered if a query that is searched finds its gold, or if the gold stands under one of the k
    titles most alike to one of its queries. Of equal settings the one with the better recall is taken, then the
    stricter one (larger tau, then larger theta).

    Args:
        questions: at least one.
        k: passages that are shown.
        max_loss: difference of recall, in [0, 1).
        taus: values tried; 1.0 leaves memory nearly unused.
        thetas: values tried.

    Raises:
        QuestionError: no question.
        InputError: no setting keeps that recall among those tried.
    """
    if not questions:
        raise QuestionError(
            "the trigger cannot be calibrated",
            seen="0 training questions",
            expected="at least one that memory was not filled from",
            hint="raise questions.n_tuning, or leave retrieval.memory.trigger.max_recall_loss out",
        )
    always = _point(questions, Trigger(mode="pass"), k).recall
    points = [_point(questions, Trigger(tau=tau, theta=theta), k) for tau in taus for theta in thetas]
    allowed = [point for point in points if point.recall >= always - max_loss]
    if not allowed:
        raise InputError(
            "no trigger keeps the recall",
            seen=f"best of {len(points)} settings {max(point.recall for point in points):.3f}, "
            f"{always:.3f} if every query is searched",
            expected=f"a loss of at most {max_loss}",
            hint="raise retrieval.memory.trigger.max_recall_loss, or set mode always",
        )
    chosen = min(allowed, key=lambda point: (point.searched, -point.recall, -point.tau, -point.theta))
    return TriggerCurve(always_recall=always, points=tuple(points), chosen=chosen, n_questions=len(questions))


def _point(questions: Sequence[CalibrationQuestion], trigger: Trigger, k: int) -> TriggerPoint:
    n_answered, n_searched, n_queries = 0, 0, 0
    for question in questions:
        decisions = [decide(row, trigger) for row in question.cosines]
        n_queries += len(decisions)
        n_searched += sum(decision.search for decision in decisions)
        n_answered += any(
            (decision.search and bool(found)) or bool(question.gold[list(decision.alike[:k])].any())
            for decision, found in zip(decisions, question.found, strict=True)
        )
    return TriggerPoint(
        tau=trigger.tau, theta=trigger.theta, recall=n_answered / len(questions), searched=n_searched / n_queries
    )
