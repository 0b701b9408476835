"""The whole path from recorded answers to the verdict, where the truth is known.

A small form of `benchmarks/planted_truth.py`: a wider margin needs fewer questions, and ten seeds are played per case.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from support.planted import (
    ARMS,
    CASES,
    KNOWS_NOTHING,
    PRIMARY,
    Case,
    draw_stated,
    make_corpus,
    record_answers,
    report_of,
    section_sizes,
    verdict_of,
)
from support.planted_size import LEVEL, N_TESTS, POWER, difference_moments, plan, size_of, standard_error

from fourfold.app.stages.score import score_answers
from fourfold.evals.cluster_robust import growth_needed
from fourfold.evals.estimate import Estimate
from fourfold.types import Arm

MARGIN = 0.1
N_SEEDS = 10
BY_COST: tuple[Arm, ...] = ("base", "tuned", "rag", "tuned + rag")
TOO_FEW_SECTIONS = 12

each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def play(case: Case, n_sections: int) -> Counter[str]:
    corpus = make_corpus(n_sections, seed=0)
    verdicts = [verdict_of(case, corpus, seed=seed, margin=MARGIN) for seed in range(N_SEEDS)]
    return Counter(verdict.winner or verdict.outcome for verdict in verdicts)


@each_case
def test_the_planted_winner_is_found_where_the_test_set_is_large_enough(case: Case) -> None:
    size = plan(case, margin=MARGIN)
    assert case.effect is None or size.detectable <= case.effect / 2
    found = play(case, size.n_sections)
    assert found[case.winner] >= 9
    assert found[case.winner] + found["not enough evidence"] == N_SEEDS


@each_case
def test_too_few_questions_are_not_enough_evidence(case: Case) -> None:
    assert size_of(case, TOO_FEW_SECTIONS, margin=MARGIN).n == 48
    found = play(case, TOO_FEW_SECTIONS)
    assert found["not enough evidence"] >= 9
    assert found[case.winner] + found["not enough evidence"] == N_SEEDS


@each_case
def test_the_report_rules_as_the_verdict_alone(case: Case) -> None:
    corpus = make_corpus(plan(case, margin=MARGIN).n_sections, seed=1)
    report = report_of(case, corpus, seed=1, margin=MARGIN)
    alone = verdict_of(case, corpus, seed=1, margin=MARGIN)
    assert (report.primary, report.n_questions, report.cluster_kind) == (PRIMARY, len(corpus.questions), "section")
    assert (report.verdict.winner, report.verdict.outcome) == (alone.winner, alone.outcome)
    assert report.verdict.finished.comparisons == alone.finished.comparisons
    assert [name for name, _ in report.verdict.finished.means] == list(BY_COST)


@each_case
@pytest.mark.parametrize("margin", [0.05, 0.1])
def test_the_winner_planted_is_the_rules_on_the_true_means(case: Case, margin: float) -> None:
    best = max(case.recall.values())
    # Without sampling error the cheapest arm within the margin of the best both qualifies and has all cheaper excluded.
    assert case.winner == next(arm for arm in BY_COST if best - case.recall[arm] < margin)


def test_a_swap_of_two_arms_answers_swaps_the_winner() -> None:
    rag_wins = next(case for case in CASES if case.winner == "rag")
    recall: dict[Arm, float] = {**rag_wins.recall, "rag": rag_wins.recall["tuned"], "tuned": rag_wins.recall["rag"]}
    swapped = Case(name="swapped", recall=recall, winner="tuned")
    corpus = make_corpus(plan(swapped, margin=MARGIN).n_sections, seed=0)
    assert verdict_of(swapped, corpus, seed=0, margin=MARGIN).winner == "tuned"


def test_answers_score_the_facts_drawn_and_no_others() -> None:
    case, corpus = CASES[0], make_corpus(60, seed=3)
    stated = draw_stated(case, corpus.sections, seed=3)
    answers = record_answers(case, corpus, seed=3)
    scores = {(s.arm, s.question_id): s.value for s in score_answers(answers, corpus.questions, (PRIMARY,))
              if s.metric == PRIMARY}  # fmt: skip
    for a, arm in enumerate(ARMS):
        for q, question in enumerate(corpus.questions):
            assert scores[arm, question.question_id] == pytest.approx(stated[a, q].mean())
    assert {answer.text == KNOWS_NOTHING for answer in answers} == {True, False}


def test_every_quote_stands_in_its_sections_chunk_at_its_offsets() -> None:
    corpus = make_corpus(14, seed=5)
    assert len(corpus.questions) == sum(section_sizes(14))
    for question, section in zip(corpus.questions, corpus.sections, strict=True):
        chunk = corpus.chunks[section]
        assert (chunk.doc_id, chunk.section) == (question.doc_id, question.section)
        assert chunk.text[question.start - chunk.start : question.end - chunk.start] == question.quote


def test_recalls_are_the_planted_ones_and_the_standard_error_counts_the_correlation_within_sections() -> None:
    case, n_draws, n_sections = CASES[0], 500, 24
    sections = np.repeat(np.arange(n_sections), section_sizes(n_sections))
    means = np.array([draw_stated(case, sections, seed=seed).mean(axis=(1, 2)) for seed in range(n_draws)])
    for a, arm in enumerate(ARMS):
        error = means[:, a].std(ddof=1) / math.sqrt(n_draws)
        assert abs(means[:, a].mean() - case.recall[arm]) < 4 * error
    others: tuple[Arm, ...] = ("base", "tuned", "tuned + rag")
    for arm in others:
        spread = (means[:, ARMS.index("rag")] - means[:, ARMS.index(arm)]).std(ddof=1)
        # The spread of 500 draws is itself uncertain by 1 / sqrt(2 × 499) = 3.2%.
        assert spread == pytest.approx(standard_error(case, "rag", arm, n_sections), rel=0.13)
        variance, covariance = difference_moments(case, "rag", arm)
        assert 0.15 < covariance / variance < 0.3
        assert spread > 1.13 * math.sqrt(variance / len(sections))


def test_the_plan_is_the_smallest_that_meets_both_of_its_conditions() -> None:
    for case in CASES:
        size = plan(case, margin=MARGIN)
        smaller = size_of(case, size.n_sections - 12, margin=MARGIN)
        half = math.inf if case.effect is None else case.effect / 2
        assert size.predicted >= 0.95
        assert smaller.predicted < 0.95 or smaller.detectable > half


def test_the_detectable_difference_is_the_one_that_the_verdicts_own_plan_calls_enough() -> None:
    case, n_sections = CASES[3], 3000
    size = size_of(case, n_sections, margin=MARGIN)
    observed = Estimate(
        value=size.detectable, low=None, high=None, se=standard_error(case, "base", "rag", n_sections), dof=2999.0,
        n=size.n, n_missing=0, n_clusters=n_sections, method="", reason=None,
    )  # fmt: skip
    growth = growth_needed(observed, null=0.0, alternative="greater", alpha=LEVEL / N_TESTS, power=POWER)
    # The plan's z stands for the t of 2,999 clusters.
    assert growth == pytest.approx(1.0, rel=0.01)
