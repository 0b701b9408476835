"""Arms against each other on every metric, outside the verdict: differences with their false discovery rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from fourfold.arms import CONTROL_OF, PLANS, arms_of
from fourfold.evals.benjamini_hochberg import benjamini_hochberg
from fourfold.evals.cluster_robust import two_sided_p
from fourfold.evals.compare import paired_difference
from fourfold.evals.power import smallest_detectable
from fourfold.evals.report.data import ArmDifference
from fourfold.evals.report.table import Table, scores_in
from fourfold.study import StudySettings

# Two arms and the metric on which they are compared.
Pair = tuple[str, str, str]


def compare_arms(
    study: StudySettings, scores: Table, clusters: Mapping[str, str]
) -> tuple[tuple[ArmDifference, ...], tuple[ArmDifference, ...]]:
    """Every pair of contestants on every metric, and tuned arms against what explains their gain.

    The p-values are two-sided, corrected over all of these rows together by Benjamini-Hochberg. The verdict has tests
    of its own, corrected by Holm.

    Returns:
        Differences of contestants, the later arm minus the earlier one; and of tuned arms minus their format control on
        every metric, minus the single-form adapters on the primary one.
    """
    pairs = [
        (later, earlier, metric)
        for metric in study.score.metrics
        for earlier, later in combinations(study.answer.arms, 2)
    ]
    explaining = _explaining(study)
    n_arms = len(study.answer.arms)
    # Two tests for each ordered pair, as the verdict has; one where a single arm has no test.
    n_tests = max(2 * n_arms * (n_arms - 1), 1)
    rows = [_difference(study, scores, clusters, pair, n_tests=n_tests) for pair in (*pairs, *explaining)]
    adjusted = benjamini_hochberg([row.p for row in rows])
    corrected = [replace(row, p_adjusted=q) for row, q in zip(rows, adjusted, strict=True)]
    return tuple(corrected[: len(pairs)]), tuple(corrected[len(pairs) :])


def _explaining(study: StudySettings) -> Sequence[Pair]:
    there = {plan.name for plan in arms_of(study)}
    controls = [(tuned, control) for tuned, control in CONTROL_OF.items() if {tuned, control} <= there]
    forms = [("tuned + rag" if plan.retrieves else "tuned", plan.name) for plan in PLANS if plan.role == "diagnostic"]
    return [
        *((tuned, control, metric) for tuned, control in controls for metric in study.score.metrics),
        *((tuned, form, study.verdict.primary) for tuned, form in forms if {tuned, form} <= there),
    ]


def _difference(
    study: StudySettings, scores: Table, clusters: Mapping[str, str], pair: Pair, *, n_tests: int
) -> ArmDifference:
    a, b, metric = pair
    of_a, of_b = (scores_in(scores[arm][metric], clusters) for arm in (a, b))
    paired = paired_difference(of_a, of_b, clusters, seed=study.verdict.seed)
    return ArmDifference(
        a=a,
        b=b,
        metric=metric,
        paired=paired,
        p=two_sided_p(paired.difference).value,
        p_adjusted=None,
        detectable=smallest_detectable(paired.difference, n_tests=n_tests),
    )
