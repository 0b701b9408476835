"""The primary metric by groups of questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourfold.arms import arms_of
from fourfold.evals.clusters import SECTION_SEPARATOR
from fourfold.evals.known import known_closed_book
from fourfold.evals.report.behaviour import RIGHT_FROM
from fourfold.evals.report.data import StratumSummary
from fourfold.evals.report.table import Table, mean_in
from fourfold.study import StudySettings
from fourfold.types import Question

# Per group: the strata that each question stands in, by question id; several only for tags.
Groups = dict[str, dict[str, tuple[str, ...]]]


def summarise_strata(
    study: StudySettings,
    questions: Sequence[Question],
    scores: Table,
    *,
    cluster_kind: str,
    shared: Mapping[str, tuple[str, ...]],
) -> tuple[StratumSummary, ...]:
    """Every arm's mean in every stratum. A group that no question's record tells of is left out: see `not_recorded`.

    Args:
        study: its arms and primary metric.
        questions: all test questions that have an answer, those on unseen documents too.
        scores: per arm and metric, the score per question id.
        cluster_kind: "document" or "section", the verdict's.
        shared: per question id, the other documents that hold its fact.
    """
    groups = _by_design(questions, shared) | _by_record(questions)
    if "base" in scores:
        known = known_closed_book(scores["base"][study.verdict.primary], threshold=RIGHT_FROM)
        words = {True: "known", False: "not known", None: "base failed"}
        groups["closed book, by base"] = {q.question_id: (words[known[q.question_id]],) for q in questions}
    clusters = clusters_of_kind(questions, cluster_kind)
    return tuple(
        StratumSummary(
            group=group,
            stratum=stratum,
            arm=plan.name,
            estimate=mean_in(scores[plan.name][study.verdict.primary], inside),
        )
        for group, names in groups.items()
        for stratum in sorted({name for own in names.values() for name in own})
        for inside in [{q: clusters[q] for q, own in names.items() if stratum in own}]
        for plan in arms_of(study)
    )


def clusters_of_kind(questions: Sequence[Question], kind: str) -> dict[str, str]:
    """The cluster of each question id, of the verdict's kind whatever the number of these questions' documents."""
    return {
        q.question_id: q.doc_id if kind == "document" else SECTION_SEPARATOR.join((q.doc_id, *q.section))
        for q in questions
    }


def not_recorded(questions: Sequence[Question]) -> tuple[str, ...]:
    """The groups that no question's record tells of."""
    recorded = _by_record(questions)
    return tuple(group for group in _RECORDED if group not in recorded)


def _by_design(questions: Sequence[Question], shared: Mapping[str, tuple[str, ...]]) -> Groups:
    return {
        "distance to tuning": {q.question_id: (str(q.stratum),) for q in questions},
        "document": {q.question_id: (q.document,) for q in questions},
        "type": {q.question_id: (q.kind or "not given",) for q in questions},
        "documents with the fact": {q.question_id: ("several" if shared[q.question_id] else "one",) for q in questions},
    }


_RECORDED = ("tag", "evidence", "passages needed")


def _by_record(questions: Sequence[Question]) -> Groups:
    found: Groups = {group: {} for group in _RECORDED}
    for q in questions:
        one = {
            "evidence": q.evidence,
            "passages needed": None if q.n_passages is None else "one" if q.n_passages == 1 else "several",
        }
        found["tag"][q.question_id] = q.tags or ("none",)
        for group, name in one.items():
            found[group][q.question_id] = (name or "not recorded",)
    return {
        group: names
        for group, names in found.items()
        if {name for own in names.values() for name in own} - {"none", "not recorded"}
    }
