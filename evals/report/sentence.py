"""The verdict in words, and what must be read with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourfold.evals.estimate import Estimate
from fourfold.evals.report.data import ArmSummary
from fourfold.evals.verdict import Verdict
from fourfold.study import StudySettings

ADVICE: Mapping[str, str] = {
    "base": "neither: use the base model as it is",
    "rag": "retrieve",
    "tuned": "fine-tune",
    "tuned + rag": "both: fine-tune and retrieve",
}


def sentence(verdict: Verdict, arms: Sequence[ArmSummary], primary: str) -> str:
    """The answer to "retrieve, fine-tune, both or neither?", with the figures it rests on."""
    name = primary.replace("_", " ")
    figures = ", ".join(f"{arm.arm} {format_estimate(arm.metrics[primary])}" for arm in arms)
    # Stands in the sentence itself: a verdict is quoted without its caveats.
    limits = " One seed, no format control." if any(arm.arm.startswith("tuned") for arm in arms) else ""
    advice = f"{ADVICE[verdict.winner].capitalize()}. " if verdict.winner else ""
    return f"{advice}{verdict.reason} {name.capitalize()}: {figures}.{limits}"


def caveats(verdict: Verdict, study: StudySettings, *, frozen_rule_kept: bool, n_questions: int) -> tuple[str, ...]:
    """What a reader must know before acting on the verdict."""
    found = []
    if not frozen_rule_kept:
        found.append(
            "The verdict rule was changed after the first answers had been seen: read this verdict as exploratory."
        )
    if any(arm.startswith("tuned") for arm in study.answer.arms):
        found.append("With one seed and no format control a tuned arm's gain may be answer style, not knowledge.")
    if any(n for _, n in verdict.n_failed):
        listed = ", ".join(f"{arm} {n}" for arm, n in verdict.n_failed if n)
        found.append(
            f"Failed items ({listed}) are left out of the means and counted as wrong beside them; the verdict holds "
            "only if both ways of counting agree."
        )
    found.append(
        f"Cost is mean prompt + answer tokens a question, over {n_questions} test questions; no prices, no latency and "
        "no cost of tuning or indexing are in it."
    )
    return tuple(found)


def format_estimate(estimate: Estimate, *, signed: bool = False) -> str:
    """'.42 [.31, .53]'; a dash with the reason where there is no value."""
    if estimate.value is None:
        return f"– ({estimate.reason})"
    value = f"{estimate.value:+.3f}" if signed else f"{estimate.value:.3f}"
    if estimate.low is None or estimate.high is None:
        return f"{value} (no interval: {estimate.reason})"
    low, high = (f"{end:+.3f}" if signed else f"{end:.3f}" for end in (estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"
