"""The verdict in words, and what must be read with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourfold.arms import CONTROL_OF, arms_of
from fourfold.evals.cost import TOKENS, Ranking
from fourfold.evals.estimate import Estimate
from fourfold.evals.report.data import ArmDifference, ArmSummary
from fourfold.evals.verdict import Verdict
from fourfold.study import StudySettings

ADVICE: Mapping[str, str] = {
    "base": "neither: use the base model as it is",
    "base n-shot": "neither: use the base model, with examples in its prompt",
    "rag": "retrieve",
    "rag n-shot": "retrieve, with examples in the prompt",
    "tuned": "fine-tune",
    "tuned + rag": "both: fine-tune and retrieve",
}
# Fairness rule 5: fewer are said in the verdict line.
SEEDS_WANTED = 3


def sentence(
    verdict: Verdict,
    arms: Sequence[ArmSummary],
    study: StudySettings,
    explained: Sequence[ArmDifference],
    *,
    reviewed: bool = True,
) -> str:
    """The answer to "retrieve, fine-tune, both or neither?", with the figures it rests on.

    What limits it stands in the sentence itself, because a verdict is quoted without its caveats. `reviewed`: a person
    wrote or accepted every test question.
    """
    primary = study.verdict.primary
    figures = ", ".join(
        f"{arm.arm} {format_estimate(arm.metrics[primary])}" for arm in arms if arm.role == "contestant"
    )
    advice = f"{ADVICE[verdict.winner].capitalize()}. " if verdict.winner else ""
    unread = "" if reviewed else "Test questions generated, not reviewed."
    limits = "".join(f" {limit}" for limit in (_format(verdict, primary, explained), _limits(study), unread) if limit)
    return f"{advice}{verdict.reason} {primary.replace('_', ' ').capitalize()}: {figures}.{limits}"


def _limits(study: StudySettings) -> str:
    """'One seed, no format control.'; empty where nothing is tuned or nothing lacks."""
    if not any(plan.adapter for plan in arms_of(study)):
        return ""
    n_seeds = len(study.tuning.seeds)
    found = [{1: "one seed", 2: "two seeds"}[n_seeds]] if n_seeds < SEEDS_WANTED else []
    found += ["no format control"] if study.tuning.control is None else []
    return f"{', '.join(found).capitalize()}." if found else ""


def _format(verdict: Verdict, primary: str, explained: Sequence[ArmDifference]) -> str:
    """Fairness rule 9: a tuned winner that is not shown above its other-corpus control has gained format."""
    controls: Mapping[str, str] = {str(tuned): control for tuned, control in CONTROL_OF.items()}
    for shown in explained:
        if (shown.a, shown.metric) == (verdict.winner, primary) and shown.b == controls.get(shown.a):
            low = shown.paired.difference.low
            if low is None or low <= 0:
                gap = format_estimate(shown.paired.difference, signed=True)
                return f"Its gain is format, not shown to be knowledge: against tuning on another corpus it is {gap}."
    return ""


def caveats(verdict: Verdict, study: StudySettings, ranking: Ranking, *, frozen_rule_kept: bool) -> tuple[str, ...]:
    """What a reader must know before acting on the verdict."""
    found = []
    if not frozen_rule_kept:
        found.append(
            "The verdict rule was changed after the first answers had been seen: read this verdict as exploratory."
        )
    tunes = any(plan.adapter for plan in arms_of(study))
    if tunes and study.tuning.control is None:
        found.append("With no format control a tuned arm's gain may be answer style, not knowledge.")
    if tunes and len(study.tuning.seeds) == 1:
        found.append("With one tuning seed the intervals hold no variation between seeds.")
    if any(n for _, n in verdict.n_failed):
        listed = ", ".join(f"{arm} {n}" for arm, n in verdict.n_failed if n)
        found.append(
            f"Failed items ({listed}) are left out of the means and counted as wrong beside them; the verdict holds "
            "only if both ways of counting agree."
        )
    modules = study.retrieval.rewriter, study.retrieval.knowledge_filter
    if any(modules) and any(plan.retrieves for plan in arms_of(study)):
        found.append("What rewriter and filter read and write is not in the cost of the arms that retrieve.")
    found.append(
        f"Cost is mean prompt + answer tokens a question ({ranking.reason}); tuning and indexing are not in it."
        if ranking.unit == TOKENS
        else f"Cost is {ranking.unit} a query over {study.verdict.n_queries:,} queries, tuning and indexing included."
    )
    return tuple(found)


def below_control(primary: str, explained: Sequence[ArmDifference]) -> tuple[str, ...]:
    """Tuned arms that are shown to be worse than the same tuning on another corpus: their training set is at fault."""
    controls: Mapping[str, str] = {str(tuned): control for tuned, control in CONTROL_OF.items()}
    return tuple(
        f"{shown.a} is below its format control by {format_estimate(shown.paired.difference, signed=True)}: what it "
        "was taught of these documents does more harm than another corpus. Read the tuning questions: fourfold review."
        for shown in explained
        if shown.metric == primary
        and shown.b == controls.get(shown.a)
        and shown.paired.difference.high is not None
        and shown.paired.difference.high < 0
    )


def format_estimate(estimate: Estimate, *, signed: bool = False) -> str:
    """'0.420 [0.310, 0.530]'; a dash with the reason where there is no value."""
    if estimate.value is None:
        return f"– ({estimate.reason})"
    value = f"{estimate.value:+.3f}" if signed else f"{estimate.value:.3f}"
    if estimate.low is None or estimate.high is None:
        return f"{value} (no interval: {estimate.reason})"
    low, high = (f"{end:+.3f}" if signed else f"{end:.3f}" for end in (estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"
