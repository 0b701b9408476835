from __future__ import annotations

import pytest

from fourfold.errors import FairnessError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.compare import compare_all, paired_difference
from fourfold.evals.seed_scores import SeedScores, on_each, paired_mean, runs_of, scores_mean
from fourfold.evals.seeds import seeds_mean

QUESTIONS = [f"q{n}" for n in range(12)]
CLUSTERS = {question: f"c{n // 2}" for n, question in enumerate(QUESTIONS)}
BASE = {question: float(n % 3 == 0) for n, question in enumerate(QUESTIONS)}
FIRST = {question: float(n % 2) for n, question in enumerate(QUESTIONS)}
SECOND = {question: float(n % 4 == 1) for n, question in enumerate(QUESTIONS)}
TUNED = SeedScores([FIRST, SECOND])


def test_a_question_has_the_mean_of_its_seeds_and_none_where_one_did_not_finish_it() -> None:
    scores = SeedScores([{"a": 1.0, "b": 0.0, "c": 1.0}, {"a": 0.0, "b": 0.0, "c": None}])
    assert dict(scores) == {"a": 0.5, "b": 0.0, "c": None}
    assert runs_of(scores) == ({"a": 1.0, "b": 0.0, "c": 1.0}, {"a": 0.0, "b": 0.0, "c": None})


def test_seeds_on_different_questions_are_refused() -> None:
    with pytest.raises(FairnessError, match="not given the same questions"):
        SeedScores([{"a": 1.0}, {"b": 1.0}])


def test_without_seeds_a_mean_is_the_cluster_robust_one() -> None:
    names = [CLUSTERS[question] for question in QUESTIONS]
    assert scores_mean(BASE, CLUSTERS) == cluster_mean(list(BASE.values()), names)
    differences = [FIRST[question] - BASE[question] for question in QUESTIONS]
    assert paired_mean(FIRST, BASE, CLUSTERS) == cluster_mean(differences, names)


def test_with_seeds_the_interval_holds_their_variation() -> None:
    names = [CLUSTERS[question] for question in QUESTIONS]
    differences = [[run[question] - BASE[question] for question in QUESTIONS] for run in (FIRST, SECOND)]
    found = paired_mean(TUNED, BASE, CLUSTERS)
    assert found == seeds_mean(differences, names).estimate
    of_means = paired_mean(dict(TUNED), BASE, CLUSTERS)
    assert found.value == pytest.approx(of_means.value)
    assert found.se is not None
    assert of_means.se is not None
    assert found.se > of_means.se


def test_two_tuned_arms_are_paired_seed_by_seed() -> None:
    better = TUNED.each(lambda run: {question: (score or 0.0) + 0.25 for question, score in run.items()})
    found = paired_mean(better, TUNED, CLUSTERS)
    # Seeds differ by much, yet each pair by the same: nothing is left of the variation between seeds.
    assert (found.value, found.se) == (pytest.approx(0.25), 0.0)


def test_arms_with_different_numbers_of_seeds_are_refused() -> None:
    with pytest.raises(FairnessError, match="2 and 3 seeds"):
        paired_mean(TUNED, SeedScores([FIRST, SECOND, BASE]), CLUSTERS)


def test_a_change_is_made_to_every_seed() -> None:
    changed = on_each(TUNED, lambda run: dict.fromkeys(run, 1.0))
    assert [set(run.values()) for run in runs_of(changed)] == [{1.0}, {1.0}]
    assert on_each(BASE, lambda run: dict.fromkeys(run, 0.0)) == dict.fromkeys(QUESTIONS, 0.0)


def test_the_verdicts_tests_and_the_reported_difference_have_one_interval() -> None:
    (tuned_first, _) = compare_all({"tuned": TUNED, "base": BASE}, CLUSTERS, margin=0.1)
    assert tuned_first.difference == paired_difference(TUNED, BASE, CLUSTERS, seed=0).difference
