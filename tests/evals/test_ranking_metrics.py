from __future__ import annotations

import math
import random

import pytest

from fourfold.errors import InputError
from fourfold.evals.ranking_metrics import RankingScore, score_ranking

SECOND, THIRD = 1 / math.log2(3), 1 / 2


@pytest.mark.parametrize(
    ("ranked", "relevance", "recall", "reciprocal_rank", "ndcg"),
    [
        ("", {"a": 1}, 0, 0, 0),
        ("a", {"a": 1}, 1, 1, 1),
        ("xa", {"a": 1}, 1, 1 / 2, SECOND),
        ("xya", {"a": 1}, 1, 1 / 3, THIRD),
        # After k = 3.
        ("xyza", {"a": 1}, 0, 0, 0),
        # Two relevant ones, one found; the ideal has both.
        ("xa", {"a": 1, "b": 1}, 1 / 2, 1 / 2, SECOND / (1 + SECOND)),
        # More relevant ones than k: the ideal ends at k, recall does not.
        ("abc", {"a": 1, "b": 1, "c": 1, "d": 1}, 3 / 4, 1, 1),
        # Graded: 1 first, 2 second; judged but not relevant is not relevant.
        ("ba", {"a": 2, "b": 1, "x": 0}, 1, 1, (1 + 2 * SECOND) / (2 + SECOND)),
        ("xab", {"a": 2, "b": 1, "x": 0}, 1, 1 / 2, (2 * SECOND + THIRD) / (2 + SECOND)),
    ],
)
def test_scores_worked_by_hand(
    ranked: str, relevance: dict[str, int], recall: float, reciprocal_rank: float, ndcg: float
) -> None:
    found = score_ranking(list(ranked), relevance, k=3)
    assert (found.recall, found.reciprocal_rank) == (pytest.approx(recall), pytest.approx(reciprocal_rank))
    assert found.ndcg == pytest.approx(ndcg, abs=1e-12)


def test_nothing_to_find_is_no_score_of_0() -> None:
    for relevance in ({}, {"a": 0}):
        with pytest.raises(InputError, match="without a relevant passage"):
            score_ranking(["a"], relevance, k=3)


@pytest.mark.parametrize(("ranked", "relevance", "k"), [("aa", {"a": 1}, 3), ("a", {"a": 1}, 0), ("a", {"a": -1}, 3)])
def test_what_makes_no_sense_is_refused(ranked: str, relevance: dict[str, int], k: int) -> None:
    with pytest.raises(ValueError, match=r"repeats|k = "):
        score_ranking(list(ranked), relevance, k=k)


def cases(n: int) -> tuple[dict[str, list[str]], dict[str, dict[str, int]]]:
    """Rankings and judgements of many questions: short and long, graded, with passages that were not found."""
    draw = random.Random(0)
    passages = [f"p{number:02}" for number in range(40)]
    ranked, relevance = {}, {}
    for number in range(n):
        question = f"q{number}"
        ranked[question] = draw.sample(passages, draw.choice([1, 2, 5, 10, 30]))
        judged = draw.sample(passages, draw.choice([1, 2, 12]))
        relevance[question] = {passage: draw.choice([0, 1, 1, 2, 3]) for passage in judged[1:]} | {judged[0]: 1}
    return ranked, relevance


def by_trec_eval(ranked: dict[str, list[str]], relevance: dict[str, dict[str, int]], k: int) -> dict[str, RankingScore]:
    pytrec_eval = pytest.importorskip("pytrec_eval", reason="trec_eval's bindings are not installed")
    runs = {
        question: {passage: float(-rank) for rank, passage in enumerate(own[:k])} for question, own in ranked.items()
    }
    names = {f"recall.{k}", "recip_rank", f"ndcg_cut.{k}"}
    found = pytrec_eval.RelevanceEvaluator(relevance, names).evaluate(runs)
    return {
        question: RankingScore(
            recall=own[f"recall_{k}"], reciprocal_rank=own["recip_rank"], ndcg=own[f"ndcg_cut_{k}"]
        )
        for question, own in found.items()
    }  # fmt: skip


@pytest.mark.parametrize("k", [1, 2, 3, 5, 10])
def test_scores_are_those_of_trec_eval(k: int) -> None:
    ranked, relevance = cases(300)
    theirs = by_trec_eval(ranked, relevance, k)
    assert theirs.keys() == ranked.keys()
    for question, expected in theirs.items():
        found = score_ranking(ranked[question], relevance[question], k=k)
        assert found.recall == pytest.approx(expected.recall, abs=1e-9)
        assert found.reciprocal_rank == pytest.approx(expected.reciprocal_rank, abs=1e-9)
        assert found.ndcg == pytest.approx(expected.ndcg, abs=1e-9)


def test_the_comparison_can_fail() -> None:
    ranked, relevance = cases(300)
    turned = {question: own[::-1] for question, own in ranked.items()}
    theirs = by_trec_eval(turned, relevance, 10)
    differ = [q for q in ranked if abs(score_ranking(ranked[q], relevance[q], k=10).ndcg - theirs[q].ndcg) > 1e-9]
    assert len(differ) > 100
