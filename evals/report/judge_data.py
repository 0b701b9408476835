"""What the report says of the judge, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fourfold.evals.attribution import ClassCount
from fourfold.evals.compare import PairedDifference
from fourfold.evals.estimate import Estimate
from fourfold.evals.judge.bradley_terry import Strength
from fourfold.evals.judge.calibration import Calibration
from fourfold.evals.judge.gate import Standing
from fourfold.evals.judge.jury import JuryAgreement
from fourfold.evals.judge.pairwise import PairBias, WinRate
from fourfold.evals.judge.rasch import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeShown:
    """One judge. `identity` is what its judgements depend on; `same_family` as the student, None where unknown."""

    name: str
    identity: Mapping[str, str]
    same_family: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedArm:
    """One arm by one criterion, 0 to 1.

    Args:
        arm: its name.
        mean: of the judge's scores, items without one left out.
        failed_as_wrong: the same with those counted as 0.
        corrected: what people would say, prediction-powered; None without labels, or for an arm that has none.
        right: share of its answers that the judge calls right.
        n_failed: answers without a score.
    """

    arm: str
    mean: Estimate
    failed_as_wrong: Estimate
    corrected: Estimate | None
    right: Estimate
    n_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedDifference:
    """a − b of the judge's scores, paired per question; `p_adjusted` by Benjamini-Hochberg over this criterion's."""

    a: str
    b: str
    paired: PairedDifference
    p_adjusted: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedStratum:
    """Share of one arm's answers that the judge calls right, in one stratum."""

    group: str
    stratum: str
    arm: str
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionShown:
    """One criterion.

    Args:
        criterion: its name.
        standing: whether its scores are relied on, and why not.
        threshold: score from which an answer is called right: the labels', else the rubric's.
        arms: every arm.
        differences: every two contestants, and tuned arms against their controls.
        winner: whom the verdict's rule would name on this metric; None for nobody.
        strata: share called right, by groups of questions.
        failures: per arm, where answers went wrong by the judge's measure.
        agreement: of the judges with one another and with themselves.
        severity: of each judge; None where it was not asked for.
        mass: mean probability that was on ratings at all; None for judges that write.
        shift: the largest of the judges' shifts under injected text; None where it was not measured.
        calibration: against labels; None without them.
    """

    criterion: str
    standing: Standing
    threshold: float
    arms: tuple[JudgedArm, ...]
    differences: tuple[JudgedDifference, ...]
    winner: str | None
    strata: tuple[JudgedStratum, ...]
    failures: tuple[tuple[ClassCount, ...], ...]
    agreement: JuryAgreement
    severity: Severity | None
    mass: float | None
    shift: Estimate | None
    calibration: Calibration | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidOfAnswer:
    """What one judge said of one answer by one criterion: its words, or its probabilities, or why it failed."""

    arm: str
    tuning_seed: int | None
    criterion: str
    judge: str
    value: float | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSection:
    """The judge's part. Per question id: its guideline, and what was said of its answers."""

    judges: tuple[JudgeShown, ...]
    frozen_before_answers: bool
    criteria: tuple[CriterionShown, ...]
    wins: tuple[WinRate, ...]
    strengths: tuple[Strength, ...]
    bias: tuple[PairBias, ...]
    guidelines: Mapping[str, str]
    said: Mapping[str, tuple[SaidOfAnswer, ...]]
    notes: tuple[str, ...]
