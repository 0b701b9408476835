"""How far the judge agrees with people on this study's own answers, and whether it errs alike on every arm.

An answer is right where a person's label is worth `RIGHT_FROM` or more; the judge's score is cut at the threshold that
suits the labels best, tried on labels of other clusters than those it was chosen by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.estimate import Estimate
from fourfold.evals.judge.cohen import UNDEFINED, cohen_kappa
from fourfold.evals.judge.jackknife import cluster_jackknife
from fourfold.evals.judge.prediction_powered import prediction_powered_mean
from fourfold.evals.judge.rubric import RIGHT_FROM
from fourfold.evals.judge.threshold import best_threshold, cross_fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAnswer:
    """One answer with the judge's score and, where a person labelled it, the label's value; both in [0, 1].

    `score` is None where the judge failed.
    """

    arm: str
    question_id: str
    cluster: str
    score: float | None
    label: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Labelled answers by who calls them right."""

    both: int
    judge_only: int
    person_only: int
    neither: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmError:
    """The judge on one arm.

    Args:
        arm: its name.
        error: share of its labelled answers on which judge and person differ.
        lean: share that the judge alone calls right less share that the person alone does; above 0 it is too kind.
        corrected: mean of what people would say of all its answers, prediction-powered.
    """

    arm: str
    error: Estimate
    lean: Estimate
    corrected: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """a − b of the judge's error rate or of its lean, paired on questions labelled for both."""

    a: str
    b: str
    what: Literal["error", "lean"]
    difference: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedDifference:
    """a − b of what people would say, prediction-powered, paired per question."""

    a: str
    b: str
    difference: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A judge against labels.

    Args:
        criterion: what was labelled.
        n_labels: labelled answers that the judge scored.
        n_judge_failed: labelled answers that it did not.
        threshold: score from which the judge calls an answer right, from all labels.
        agreement: share of answers on which both agree.
        kappa: Cohen's, jackknifed over clusters.
        confusion: the counts behind both.
        arms: per arm, in the order given.
        widest: the largest difference of error or lean between two arms; None with labels of fewer than two arms.
        differences: of every two arms.
    """

    criterion: str
    n_labels: int
    n_judge_failed: int
    threshold: float
    agreement: Estimate
    kappa: Estimate
    confusion: Confusion
    arms: tuple[ArmError, ...]
    widest: Gap | None
    differences: tuple[CorrectedDifference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """A labelled answer: whether judge and person call it right."""

    answer: JudgedAnswer
    judge: bool
    person: bool

    @property
    def error(self) -> float:
        return float(self.judge != self.person)

    @property
    def lean(self) -> float:
        return float(self.judge) - float(self.person)


def calibrate(criterion: str, answers: Sequence[JudgedAnswer]) -> Calibration:
    """Compare a judge with labels.

    Args:
        criterion: what was labelled.
        answers: every judged answer of the study, labelled or not; one per arm and question.
    """
    labelled = [a for a in answers if a.label is not None]
    usable = [(a, a.score, a.label) for a in labelled if a.score is not None and a.label is not None]
    scores = [score for _, score, _ in usable]
    labels = [label >= RIGHT_FROM for _, _, label in usable]
    clusters = [answer.cluster for answer, _, _ in usable]
    called = cross_fitted(scores, labels, clusters)
    decided = [
        _Decided(answer=answer, judge=judge, person=person)
        for (answer, _, _), judge, person in zip(usable, called, labels, strict=True)
    ]
    n_failed = len(labelled) - len(usable)
    arms = list(dict.fromkeys(answer.arm for answer in answers))
    return Calibration(
        criterion=criterion,
        n_labels=len(usable),
        n_judge_failed=n_failed,
        threshold=best_threshold(scores, labels),
        agreement=cluster_mean([1 - one.error for one in decided], clusters),
        kappa=cluster_jackknife(
            lambda places: cohen_kappa([called[at] for at in places], [labels[at] for at in places]),
            clusters,
            undefined=UNDEFINED if usable else "no labelled answer that the judge scored",
            n_missing=n_failed,
        ),
        confusion=_confusion(decided),
        arms=tuple(_arm(arm, decided, answers) for arm in arms),
        widest=_widest(decided),
        differences=tuple(_difference(a, b, answers) for b, a in combinations(arms, 2)),
    )


def _confusion(decided: Sequence[_Decided]) -> Confusion:
    counts = [(one.judge, one.person) for one in decided]
    return Confusion(
        both=counts.count((True, True)),
        judge_only=counts.count((True, False)),
        person_only=counts.count((False, True)),
        neither=counts.count((False, False)),
    )


def _arm(arm: str, decided: Sequence[_Decided], answers: Sequence[JudgedAnswer]) -> ArmError:
    own = [one for one in decided if one.answer.arm == arm]
    clusters = [one.answer.cluster for one in own]
    every = [answer for answer in answers if answer.arm == arm]
    return ArmError(
        arm=arm,
        error=cluster_mean([one.error for one in own], clusters),
        lean=cluster_mean([one.lean for one in own], clusters),
        corrected=prediction_powered_mean(
            [answer.label for answer in every],
            [answer.score for answer in every],
            [answer.cluster for answer in every],
        ),
    )


def _widest(decided: Sequence[_Decided]) -> Gap | None:
    """A judge that is as often wrong on two arms, but too kind to one, errs unlike: both differences count."""
    by_arm: dict[str, dict[str, _Decided]] = {}
    for one in decided:
        by_arm.setdefault(one.answer.arm, {})[one.answer.question_id] = one
    gaps: list[Gap] = []
    for a, b in combinations(by_arm, 2):
        both = [(by_arm[a][question], by_arm[b][question]) for question in by_arm[a] if question in by_arm[b]]
        clusters = [one.answer.cluster for one, _ in both]
        errors = cluster_mean([one.error - other.error for one, other in both], clusters)
        leans = cluster_mean([one.lean - other.lean for one, other in both], clusters)
        gaps += [Gap(a=a, b=b, what="error", difference=errors), Gap(a=a, b=b, what="lean", difference=leans)]
    known = [gap for gap in gaps if gap.difference.value is not None]
    return max(known, key=lambda gap: abs(gap.difference.value or 0.0)) if known else None


def _difference(a: str, b: str, answers: Sequence[JudgedAnswer]) -> CorrectedDifference:
    of_a, of_b = (_by_question(arm, answers) for arm in (a, b))
    both = [(of_a[question], of_b[question]) for question in of_a if question in of_b]
    return CorrectedDifference(
        a=a,
        b=b,
        difference=prediction_powered_mean(
            [_minus(one.label, other.label) for one, other in both],
            [_minus(one.score, other.score) for one, other in both],
            [one.cluster for one, _ in both],
        ),
    )


def _by_question(arm: str, answers: Sequence[JudgedAnswer]) -> Mapping[str, JudgedAnswer]:
    return {answer.question_id: answer for answer in answers if answer.arm == arm}


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
