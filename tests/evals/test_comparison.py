"""Two studies compared on tables of scores: every figure by hand or by an outside implementation."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from support.reports import RETRIEVAL as RETRIEVED
from support.reports import Table, make_questions, make_rows

from fourfold.errors import FairnessError
from fourfold.evals.report.comparison import (
    RETRIEVAL,
    ComparedMetric,
    StudyComparison,
    StudySide,
    compare_studies,
)
from fourfold.evals.report.comparison_text import comparison_as_json, render_comparison
from fourfold.study import AnswerSettings, CorpusSettings, RetrievalSettings, ScoreSettings, StudySettings
from fourfold.types import Question

MODEL = {"weights": "w1", "quantisation": "nf4", "dtype": "bfloat16"}
# Each question is a section of its own, so that CR2 is the usual standard error of the mean.
A: Table = {"base": [1, 0, 1, 0.5, 1], "tuned": [1, 1, 0, 1, 1]}
B: Table = {"base": [0, 0, 0.5, 0.5, 0.25], "tuned": [1, 0, 0, 0.5, 1]}


def side(table: Table, *, questions: Sequence[Question] | None = None, **settings: Any) -> StudySide:
    questions = questions or make_questions(len(next(iter(table.values()))))
    defaults: dict[str, Any] = {
        "name": "small",
        "corpus": CorpusSettings(folder=Path("pdfs")),
        "answer": AnswerSettings(arms=tuple(table)),
        "score": ScoreSettings(metrics=("token_f1", "key_fact_recall")),
    }
    study = StudySettings(**{**defaults, **settings})
    return StudySide(
        label=study.name, study=study, model=MODEL, questions=questions, scores=make_rows(table, questions, {}).scores
    )


def row_of(comparison: StudyComparison, arm: str, metric: str) -> ComparedMetric:
    (found,) = (row for row in comparison.rows if (row.arm, row.metric) == (arm, metric))
    return found


def with_seeds(one: StudySide, table: Sequence[Table]) -> StudySide:
    """The study tuned once more for each table: seeds from 1 up beside seed 0."""
    more = [
        dataclasses.replace(score, tuning_seed=seed)
        for seed, own in enumerate(table, start=1)
        for score in make_rows(own, one.questions, {}).scores
        if score.arm == "tuned"
    ]
    tuning = one.study.tuning.model_copy(update={"seeds": tuple(range(len(table) + 1))})
    study = one.study.model_copy(update={"tuning": tuning})
    return dataclasses.replace(one, study=study, scores=[*one.scores, *more])


def test_means_and_difference_worked_by_hand() -> None:
    found = row_of(compare_studies(side(A), side(B)), "base", "key_fact_recall")
    # A 3.5 / 5, B 1.25 / 5; A − B is 1, 0, .5, 0, .75 with squared deviations .3025, .2025, .0025, .2025, .09.
    assert (found.a.value, found.b.value) == (pytest.approx(0.7), pytest.approx(0.25))
    assert found.difference.value == pytest.approx(0.45)
    assert found.difference.se == pytest.approx((0.8 / 4 / 5) ** 0.5)
    assert (found.difference.n, found.difference.n_missing, found.difference.n_clusters) == (5, 0, 5)
    half = row_of(compare_studies(side(A), side(B)), "base", "token_f1")
    assert half.difference.value == pytest.approx(0.225)


def test_the_sign_turns_with_the_order_of_the_two() -> None:
    one, other = compare_studies(side(A), side(B)), compare_studies(side(B), side(A))
    for row in one.rows:
        back = row_of(other, row.arm, row.metric)
        assert row.difference.value is not None
        assert back.difference.value == pytest.approx(-row.difference.value)
        assert back.p.value == pytest.approx(row.p.value)


@pytest.mark.parametrize("arm", ["base", "tuned"])
def test_interval_and_p_agree_with_a_paired_t_test_where_each_question_is_a_cluster(arm: Any) -> None:
    found = row_of(compare_studies(side(A), side(B)), arm, "key_fact_recall")
    outside = stats.ttest_rel(A[arm], B[arm])
    low, high = outside.confidence_interval(0.95)
    assert (found.difference.low, found.difference.high) == (pytest.approx(low), pytest.approx(high))
    assert found.p.value == pytest.approx(outside.pvalue)
    assert "two-sided" in found.p.method


def test_clusters_are_chosen_as_the_report_does() -> None:
    # Two questions in each of two sections: the interval is that of two clusters.
    questions = [
        dataclasses.replace(question, section=("Oil" if place < 2 else "Water",))
        for place, question in enumerate(make_questions(5))
    ]
    comparison = compare_studies(side(A, questions=questions), side(B, questions=questions))
    assert comparison.cluster_kind == "section"
    assert {row.difference.n_clusters for row in comparison.rows} == {2}
    many = [dataclasses.replace(q, doc_id=f"d{place // 2}") for place, q in enumerate(make_questions(60))]
    table: Table = {"base": [place % 3 / 2 for place in range(60)]}
    comparison = compare_studies(side(table, questions=many), side({"base": 60 * [0.5]}, questions=many))
    assert comparison.cluster_kind == "document"
    assert {row.difference.n_clusters for row in comparison.rows} == {30}


def test_p_is_adjusted_over_all_rows_shown() -> None:
    comparison = compare_studies(side(A), side(B))
    assert len(comparison.rows) == 2 * 3
    values = [1.0 if row.p.value is None else row.p.value for row in comparison.rows]
    wanted = stats.false_discovery_control(values, method="bh")
    for row, adjusted in zip(comparison.rows, wanted, strict=True):
        assert row.p_adjusted == (None if row.p.value is None else pytest.approx(adjusted))
    assert any(row.p_adjusted != row.p.value for row in comparison.rows)


def test_a_study_against_itself_is_zero_everywhere() -> None:
    comparison = compare_studies(side(A), side(A))
    for row in comparison.rows:
        zero = row.difference
        assert (zero.value, zero.se, zero.low, zero.high) == (0, 0, 0, 0)
        assert (row.p.value, row.p_adjusted) == (1, 1)
    assert (comparison.settings, comparison.base_model) == ((), ())
    assert "settings that differ: none" in render_comparison(comparison)


def test_a_pair_counts_where_both_finished_and_failures_count_as_wrong_beside_it() -> None:
    comparison = compare_studies(side({"base": [None, 1, 1, 0]}), side({"base": [1, 0, None, 0]}))
    found = row_of(comparison, "base", "key_fact_recall")
    assert (found.difference.value, found.difference.n, found.difference.n_missing) == (0.5, 2, 2)
    assert (found.a.value, found.a.n, found.b.value, found.b.n) == (pytest.approx(2 / 3), 3, pytest.approx(1 / 3), 3)
    assert found.failed_as_wrong is not None
    # −1, 1, 1, 0
    assert (found.failed_as_wrong.value, found.failed_as_wrong.n) == (0.25, 4)
    assert row_of(comparison, "base", "refusal").failed_as_wrong is None
    assert "failed as wrong" in render_comparison(comparison)
    assert "failed as wrong" not in render_comparison(compare_studies(side(A), side(B)))


def test_what_is_retrieved_stands_once_and_only_where_k_is_the_same() -> None:
    # The third question retrieves nothing of its gold, in either study.
    table: Table = {"base": [1, 0, 0], "rag": [1, 1, 0], "tuned + rag": [1, 1, 1]}
    comparison = compare_studies(side(table), side({"rag": [1, 0, 0]}))
    shown = [(row.arm, row.metric) for row in comparison.rows]
    assert shown == [
        *(("rag", metric) for metric in ("key_fact_recall", "token_f1", "refusal")),
        *((RETRIEVAL, metric) for metric in RETRIEVED),
    ]
    assert row_of(comparison, RETRIEVAL, "mrr@3").a.value == pytest.approx(1 / 3)
    other = side({"rag": [1, 0, 0]}, retrieval=RetrievalSettings(k=5))
    other = dataclasses.replace(
        other, scores=[dataclasses.replace(s, metric=s.metric.replace("@3", "@5")) for s in other.scores]
    )
    comparison = compare_studies(side(table), other)
    assert {row.arm for row in comparison.rows} == {"rag"}
    assert comparison.only_a.metrics == ("recall@3", "mrr@3", "ndcg@3")
    assert comparison.only_b.metrics == ("recall@5", "mrr@5", "ndcg@5")


def test_arms_and_metrics_of_one_study_are_listed_as_such() -> None:
    scored = ScoreSettings(metrics=("key_fact_recall",))
    other = side({"base": [1, 0, 1, 0, 1], "rag": [1, 1, 1, 1, 0]}, score=scored)
    other = dataclasses.replace(other, scores=[s for s in other.scores if s.metric != "token_f1"])
    comparison = compare_studies(side(A), other)
    assert {(row.arm, row.metric) for row in comparison.rows} == {("base", "key_fact_recall"), ("base", "refusal")}
    assert (comparison.only_a.arms, comparison.only_a.metrics) == (("tuned",), ("token_f1",))
    assert (comparison.only_b.arms, comparison.only_b.metrics) == (("rag",), tuple(RETRIEVED))
    shown = render_comparison(comparison).splitlines()
    assert "arms of A only: tuned" in shown
    assert "metrics of A only: token_f1" in shown
    assert "arms of B only: rag" in shown
    assert "metrics of B only: recall@3, mrr@3, ndcg@3" in shown


def test_a_metric_that_one_study_scored_for_other_arms_only_is_listed_too() -> None:
    other = side(B)
    kept = [s for s in other.scores if (s.arm, s.metric) != ("tuned", "token_f1")]
    comparison = compare_studies(side(A), dataclasses.replace(other, scores=kept))
    assert ("tuned", "token_f1") not in {(row.arm, row.metric) for row in comparison.rows}
    assert comparison.only_a.metrics == ("token_f1",)


def test_with_nothing_in_common_no_row_is_shown() -> None:
    comparison = compare_studies(side({"base": [1, 0]}), side({"tuned": [1, 0]}))
    assert comparison.rows == ()
    assert "no arm and metric in common" in render_comparison(comparison)
    assert (comparison.only_a.arms, comparison.only_b.arms) == (("base",), ("tuned",))


def test_settings_that_differ_stand_at_the_top_by_their_dotted_key() -> None:
    other = side(B, name="other", retrieval=RetrievalSettings(k=1), corpus=CorpusSettings(folder=Path("more")))
    comparison = compare_studies(side(A), other)
    assert [(found.key, found.a, found.b) for found in comparison.settings] == [
        ("corpus.folder", "pdfs", "more"),
        ("retrieval.k", 3, 1),
    ]
    first, _, *told = render_comparison(comparison).splitlines()
    assert first == "fourfold · A = small, B = other"
    assert told[:3] == ["settings that differ:", "  corpus.folder: A pdfs | B more", "  retrieval.k: A 3 | B 1"]


@pytest.mark.parametrize("part", ["weights", "quantisation", "dtype"])
def test_another_base_model_is_said(part: str) -> None:
    assert "the base model differs" not in render_comparison(compare_studies(side(A), side(B)))
    other = dataclasses.replace(side(B), model={**MODEL, part: "other"})
    shown = render_comparison(compare_studies(side(A), other))
    assert f"the base model differs: {part}: A {MODEL[part]} | B other" in shown


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"question": "Why?"}, "the question 'What is 1?' in A and 'Why?' in B"),
        ({"reference": "it stands"}, "the reference 'it runs' in A and 'it stands' in B"),
        ({"key_facts": (("runs",),)}, "the key facts (('runs', 'turns'),) in A and (('runs',),) in B"),
        ({"start": 3}, "the gold span ('d1', 0, 10) in A and ('d1', 3, 10) in B"),
        ({"doc_id": "d9"}, "the gold span ('d1', 0, 10) in A and ('d9', 0, 10) in B"),
    ],
)
def test_studies_with_other_questions_are_refused_with_an_example(change: dict[str, Any], told: str) -> None:
    first, second, *rest = make_questions(5)
    changed = [first, dataclasses.replace(second, **change), *rest]
    with pytest.raises(FairnessError) as refused:
        compare_studies(side(A), side(B, questions=changed))
    assert refused.value.seen == f"1 of 5 differ, 'q1' with {told} among them"


def test_questions_of_one_study_only_are_counted() -> None:
    with pytest.raises(FairnessError) as refused:
        compare_studies(side({"base": [1, 0]}), side(B))
    assert refused.value.seen == "3 of 5 differ, 'q2' of B only among them"
    with pytest.raises(FairnessError, match="'q2' of A only"):
        compare_studies(side(A), side({"base": [1, 0]}))


def test_order_and_stratum_of_the_questions_do_not_matter() -> None:
    questions = [dataclasses.replace(q, stratum="fact asked") for q in make_questions(5)]
    table: Table = {"base": list(reversed(B["base"]))}
    comparison = compare_studies(side(A), side(table, questions=questions[::-1]))
    assert row_of(comparison, "base", "key_fact_recall").difference.value == pytest.approx(0.45)


@pytest.mark.parametrize("not_seen_by", ["A", "B", "both"])
def test_questions_on_documents_that_one_study_did_not_tune_on_are_left_out(not_seen_by: str) -> None:
    seen, unseen = make_questions(5), make_questions(5)
    unseen[0] = dataclasses.replace(unseen[0], stratum="document unseen")
    a, b = (unseen if not_seen_by in {name, "both"} else seen for name in ("A", "B"))
    comparison = compare_studies(side(A, questions=a), side(B, questions=b))
    assert (comparison.n_questions, comparison.n_left_out) == (4, 1)
    # Without the first, A − B is 0, .5, 0, .75.
    assert row_of(comparison, "base", "key_fact_recall").difference.value == pytest.approx(1.25 / 4)
    assert "1 more on documents that tuning did not see are left out" in render_comparison(comparison)


def test_tuning_seeds_are_paired_and_unequal_numbers_of_them_are_undefined_with_a_reason() -> None:
    two = with_seeds(side(A), [{"tuned": [0, 1, 0, 1, 1]}])
    also_two = with_seeds(side(B), [{"tuned": [0, 0, 0, 0.5, 1]}])
    three = with_seeds(side(B), [{"tuned": [0, 0, 0, 0, 1]}, {"tuned": [0, 0, 1, 0, 1]}])
    found = row_of(compare_studies(two, also_two), "tuned", "key_fact_recall").difference
    assert (found.value, found.method.endswith("seeds as a random factor")) == (pytest.approx(0.3), True)
    comparison = compare_studies(two, three)
    found = row_of(comparison, "tuned", "key_fact_recall").difference
    assert (found.value, found.se, found.n) == (None, None, 0)
    assert found.reason == "2 tuning seeds in A and 3 in B cannot be paired"
    assert row_of(comparison, "tuned", "key_fact_recall").p.value is None
    assert row_of(comparison, "base", "key_fact_recall").difference.value == pytest.approx(0.45)
    assert found.reason in render_comparison(comparison)


def test_a_study_tuned_with_one_seed_is_named() -> None:
    two = with_seeds(side(A), [{"tuned": [0, 1, 0, 1, 1]}])
    assert any("B tuned with one seed" in caveat for caveat in compare_studies(two, side(B)).caveats)
    assert any("A and B tuned with one seed" in caveat for caveat in compare_studies(side(A), side(B)).caveats)
    untuned = {"base": B["base"]}
    assert not any("seed" in caveat for caveat in compare_studies(side(A), side(untuned)).caveats)


def test_the_table_has_one_line_for_each_row_and_json_the_same_figures() -> None:
    comparison = compare_studies(side(A), side(B))
    shown = render_comparison(comparison)
    (line,) = (line for line in shown.splitlines() if line.startswith("base   key fact recall"))
    assert "0.700  0.250  +0.450 [" in line
    assert "over all 6 rows" in shown
    held = json.loads(comparison_as_json(comparison))
    assert [(row["arm"], row["metric"], row["difference"]["value"]) for row in held["rows"]] == [
        (row.arm, row.metric, row.difference.value) for row in comparison.rows
    ]
    assert held["only_a"] == {"arms": [], "metrics": []}
