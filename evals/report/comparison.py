"""Two finished studies on the same test questions, arm by arm and metric by metric: A minus B, paired per question.

What differs between their settings is what is compared, so it is told first and is refused in one case alone: where
the questions themselves differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fourfold.arms import PLAN, arms_of
from fourfold.errors import FairnessError
from fourfold.evals.benjamini_hochberg import benjamini_hochberg
from fourfold.evals.cluster_robust import two_sided_p
from fourfold.evals.estimate import Estimate, PValue
from fourfold.evals.report.table import UNSEEN, cluster_questions, scores_by_arm, scores_in
from fourfold.evals.seed_scores import Scores, on_each, paired_mean, runs_of, scores_mean
from fourfold.evals.verdict import wrong_where_failed
from fourfold.study import StudySettings
from fourfold.types import Question, Score

# All arms that retrieve are given the same contexts: a row for each would say one thing several times, and would count
# it several times in the correction.
RETRIEVAL = "(retrieval)"
CHOSEN_ON_TEST = (
    "Who keeps the better of the two by this table has chosen on the test questions; its own figures are then "
    "favourable. A sweep chooses on validation questions."
)

UNANSWERABLE = "{n} unanswerable questions are left out; each study's own report scores how its arms decline them."

Measured = Mapping[str, Mapping[str, Scores]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySide:
    """One finished study.

    Args:
        label: how it is named in the comparison.
        study: the resolved study.
        model: what its base model is, part by part (weights, quantisation, dtype).
        questions: its test questions.
        scores: of every arm on them.
    """

    label: str
    study: StudySettings
    model: Mapping[str, str]
    questions: Sequence[Question]
    scores: Sequence[Score]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something the two studies have otherwise: a dotted key of the settings, or a part of the base model."""

    key: str
    a: object
    b: object


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedMetric:
    """One arm on one metric in both studies.

    Args:
        arm: or RETRIEVAL, for what is the same for every arm that retrieves.
        metric: as in the scores.
        a: mean over what A finished, with its interval.
        b: mean over what B finished, with its interval.
        difference: mean of A − B over the questions that both finished, cluster-robust t interval.
        failed_as_wrong: the same with failed items counted as 0; None for what an answer cannot get wrong.
        p: of no difference, two-sided.
        p_adjusted: by Benjamini–Hochberg over all rows of the comparison; None where `p` is.
    """

    arm: str
    metric: str
    a: Estimate
    b: Estimate
    difference: Estimate
    failed_as_wrong: Estimate | None
    p: PValue
    p_adjusted: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOnly:
    """What one study has and the other does not."""

    arms: tuple[str, ...]
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyComparison:
    """The whole comparison.

    `n_left_out` are the test questions on documents that the tuning of at least one of the two did not see: as in the
    report they are transfer, and no part of `n_questions`.
    """

    a: str
    b: str
    settings: tuple[Difference, ...]
    base_model: tuple[Difference, ...]
    caveats: tuple[str, ...]
    n_questions: int
    n_left_out: int
    cluster_kind: str
    rows: tuple[ComparedMetric, ...]
    only_a: OneOnly
    only_b: OneOnly


def compare_studies(a: StudySide, b: StudySide) -> StudyComparison:
    """Compare every arm that both have on every metric that both scored.

    Raises:
        FairnessError: their test questions differ.
    """
    require_same_questions(a.questions, b.questions)
    unseen = {question.question_id for question in (*a.questions, *b.questions) if question.stratum == UNSEEN}
    unanswerable = {question.question_id for question in a.questions if question.answerable is False}
    left_out = unseen | unanswerable
    kind, clusters = cluster_questions([question for question in a.questions if question.question_id not in left_out])
    of_a, of_b = _measured(a), _measured(b)
    # What an answer can get wrong: neither a refusal nor what was retrieved.
    answered = {metric for side in (a, b) for metric in side.study.score.metrics}
    rows = [
        _compare((arm, metric), own, of_b[arm][metric], clusters, failing=metric in answered)
        for arm in of_a
        for metric, own in of_a[arm].items()
        if metric in of_b.get(arm, {})
    ]
    adjusted = benjamini_hochberg([row.p.value for row in rows])
    return StudyComparison(
        a=a.label,
        b=b.label,
        # The name is the label of a study, and no score depends on it.
        settings=_differences(*(dict(_flat(s.study.model_dump(mode="json", exclude={"name"}))) for s in (a, b))),
        base_model=_differences(a.model, b.model),
        caveats=(
            *_seeds_said(a.study, b.study, [row.arm for row in rows]),
            *([UNANSWERABLE.format(n=len(unanswerable))] if unanswerable else []),
            CHOSEN_ON_TEST,
        ),
        n_questions=len(clusters),
        n_left_out=len(unseen),
        cluster_kind=kind,
        rows=tuple(replace(row, p_adjusted=p) for row, p in zip(rows, adjusted, strict=True)),
        only_a=_only(of_a, of_b),
        only_b=_only(of_b, of_a),
    )


def require_same_questions(a: Sequence[Question], b: Sequence[Question]) -> None:
    """Same ids, and for each the same question, reference, key facts and gold span; the order does not matter.

    Raises:
        FairnessError: they are not.
    """
    of_a, of_b = ({question.question_id: _content(question) for question in side} for side in (a, b))
    both = of_a | of_b
    odd = [question for question in both if of_a.get(question) != of_b.get(question)]
    if odd:
        raise FairnessError(
            "the two studies were not given the same test questions",
            seen=f"{len(odd)} of {len(both)} differ, {_example(odd[0], of_a, of_b)} among them",
            expected="the same ids, each with the same question, reference, key facts and gold span",
            hint="run one of the two again with the other's corpus, questions.file and questions.subset",
        )


def _content(question: Question) -> dict[str, object]:
    return {
        "question": question.question,
        "reference": question.reference,
        "key facts": question.key_facts,
        "gold span": (question.doc_id, question.start, question.end),
    }


def _example(question: str, a: Mapping[str, Mapping[str, object]], b: Mapping[str, Mapping[str, object]]) -> str:
    if question not in a or question not in b:
        return f"{question!r} of {'A' if question in a else 'B'} only"
    field = next(field for field, value in a[question].items() if value != b[question][field])
    return f"{question!r} with the {field} {a[question][field]!r} in A and {b[question][field]!r} in B"


def _measured(side: StudySide) -> Measured:
    """Per arm its scores by metric, what was retrieved once under RETRIEVAL, last."""
    table, k = scores_by_arm(side.scores), side.study.retrieval.k
    measured: dict[str, Mapping[str, Scores]] = {}
    retrieval: dict[str, Scores] = {}
    for plan in arms_of(side.study):
        own = dict(table[plan.name])
        retrieval |= {name: own.pop(name) for name in (f"recall@{k}", f"mrr@{k}", f"ndcg@{k}") if name in own}
        measured[plan.name] = own
    return {**measured, RETRIEVAL: retrieval} if retrieval else measured


def _compare(
    place: tuple[str, str], own: Scores, other: Scores, clusters: Mapping[str, str], *, failing: bool
) -> ComparedMetric:
    a, b = scores_in(own, clusters), scores_in(other, clusters)
    difference = _difference(a, b, clusters)
    wrong_a, wrong_b = (on_each(scores, wrong_where_failed) for scores in (a, b))
    arm, metric = place
    return ComparedMetric(
        arm=arm,
        metric=metric,
        a=scores_mean(a, clusters),
        b=scores_mean(b, clusters),
        difference=difference,
        failed_as_wrong=_difference(wrong_a, wrong_b, clusters) if failing else None,
        p=two_sided_p(difference),
        p_adjusted=None,
    )


def _difference(a: Scores, b: Scores, clusters: Mapping[str, str]) -> Estimate:
    n_a, n_b = len(runs_of(a)), len(runs_of(b))
    if min(n_a, n_b) in {1, max(n_a, n_b)}:
        return paired_mean(a, b, clusters)
    # The other arms can be compared all the same.
    nothing = scores_mean(dict.fromkeys(clusters), clusters)
    return replace(nothing, reason=f"{n_a} tuning seeds in A and {n_b} in B cannot be paired")


def _flat(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _differences(a: Mapping[str, object], b: Mapping[str, object]) -> tuple[Difference, ...]:
    keys = [*a, *(key for key in b if key not in a)]
    return tuple(Difference(key=key, a=a.get(key), b=b.get(key)) for key in keys if a.get(key) != b.get(key))


def _only(own: Measured, other: Measured) -> OneOnly:
    scored = {metric for scores in other.values() for metric in scores}
    metrics = [m for arm, scores in own.items() for m in scores if m not in other.get(arm, scored)]
    return OneOnly(
        arms=tuple(arm for arm in own if arm not in other and arm != RETRIEVAL),
        metrics=tuple(dict.fromkeys(metrics)),
    )


def _seeds_said(a: StudySettings, b: StudySettings, arms: Sequence[str]) -> list[str]:
    if not any(PLAN[arm].adapter for arm in arms if arm != RETRIEVAL):
        return []
    single = [name for name, study in (("A", a), ("B", b)) if len(study.tuning.seeds) == 1]
    said = f"{' and '.join(single)} tuned with one seed: the intervals of tuned arms lack the variation between seeds."
    return [said] if single else []
