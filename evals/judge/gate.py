"""Whether a judge's scores count in this study (fairness rule 6)."""

from __future__ import annotations

from dataclasses import dataclass

from fourfold.evals.estimate import Estimate
from fourfold.evals.judge.calibration import Calibration

# Rule 6: the lower end of kappa's 95% interval, and the largest difference of error between two arms.
KAPPA_FROM = 0.4
GAP_UP_TO = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a criterion's scores are relied on, and why not. `reasons` is empty exactly where they are."""

    criterion: str
    relied_on: bool
    reasons: tuple[str, ...]

    @property
    def words(self) -> str:
        """'relied on', or 'not relied on: …'."""
        return "relied on" if self.relied_on else f"not relied on: {'; '.join(self.reasons)}"


def decide_standing(
    criterion: str, calibration: Calibration | None, shift: Estimate | None, *, margin: float
) -> Standing:
    """Apply the rule: calibrated, in agreement, as wrong on every arm, not moved by what an answer asks for.

    Args:
        criterion: whose scores.
        calibration: against labels of this study; None where there are none.
        shift: by how much text that asks for full marks raises the score; None where it was not measured.
        margin: the difference that matters, in the unit of the scores.
    """
    reasons = [] if calibration is not None else ["not calibrated on labels of this study"]
    if calibration is not None:
        reasons += _of_calibration(calibration)
    if shift is not None and (shift.value is None or shift.value > margin):
        reasons.append(
            f"its shift under injected text is not known ({shift.reason})"
            if shift.value is None
            else f"injected text moves it by {shift.value:+.3f}, at most {margin:g} is allowed"
        )
    return Standing(criterion=criterion, relied_on=not reasons, reasons=tuple(reasons))


def _of_calibration(calibration: Calibration) -> list[str]:
    reasons = []
    kappa, gap = calibration.kappa, calibration.widest
    if kappa.low is None:
        reasons.append(f"kappa has no lower bound ({kappa.reason})")
    elif kappa.low < KAPPA_FROM:
        reasons.append(f"the lower bound of kappa is {kappa.low:.2f}, at least {KAPPA_FROM:g} is needed")
    bare = [own.arm for own in calibration.arms if own.error.value is None]
    if bare and gap is not None:
        reasons.append(f"its error on {', '.join(bare)} is not known: too few labels there")
    if gap is None or gap.difference.value is None:
        reasons.append("labels of one arm only: its error cannot be compared between arms")
    elif abs(gap.difference.value) > GAP_UP_TO:
        reasons.append(
            f"its {gap.what} differs by {abs(gap.difference.value):.2f} between {gap.a} and {gap.b}, "
            f"at most {GAP_UP_TO:g} is allowed"
        )
    return reasons
