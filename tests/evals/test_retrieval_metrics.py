from __future__ import annotations

import math

import pytest
from support.questions import make_question

from fourfold.errors import InputError
from fourfold.evals.retrieval_metrics import RetrievalScore, score_retrieval
from fourfold.types import Chunk

# A gold span of ten characters: [100, 110) of document d1.
QUESTION = make_question("q", doc_id="d1", start=100, end=110)
SECOND, THIRD = 1 / math.log2(3), 1 / math.log2(4)

Place = tuple[str, int, int]


def chunk(place: Place) -> Chunk:
    doc_id, start, end = place
    return Chunk(
        chunk_id=f"{doc_id}:{start}",
        doc_id=doc_id,
        position=0,
        start=start,
        end=end,
        page_first=1,
        page_last=1,
        section=(),
        n_tokens=1,
        text="x" * (end - start),
    )


def score(places: list[Place], k: int = 3) -> RetrievalScore:
    return score_retrieval(QUESTION, [chunk(place) for place in places], k=k)


@pytest.mark.parametrize(
    ("places", "recall", "reciprocal_rank", "ndcg"),
    [
        # Nothing retrieved; the whole span, exactly and inside a larger chunk.
        ([], 0, 0, 0),
        ([("d1", 100, 110)], 1, 1, 1),
        ([("d1", 0, 500)], 1, 1, 1),
        # The span stands second, third.
        ([("d1", 0, 50), ("d1", 90, 120)], 1, 1 / 2, SECOND),
        ([("d1", 0, 50), ("d1", 50, 90), ("d1", 90, 120)], 1, 1 / 3, THIRD),
        # Two chunks cover it together: a hit at the second.
        ([("d1", 90, 104), ("d1", 104, 120)], 1, 1 / 2, 0.4 + 0.6 * SECOND),
        ([("d1", 104, 120), ("d9", 0, 9), ("d1", 90, 104)], 1, 1 / 3, 0.6 + 0.4 * THIRD),
        # 80% is a hit, one character less is none.
        ([("d1", 100, 108)], 1, 1, 0.8),
        ([("d1", 101, 109)], 1, 1, 0.8),
        ([("d1", 100, 107)], 0, 0, 0.7),
        # A chunk that ends where the span starts, or starts where it ends, holds none of it.
        ([("d1", 90, 100), ("d1", 110, 120)], 0, 0, 0),
        # The same offsets of another document are another text.
        ([("d2", 100, 110)], 0, 0, 0),
        ([("d2", 100, 110), ("d1", 100, 110)], 1, 1 / 2, SECOND),
        # What is covered already is no gain: the same chunk twice, an overlap of 2 characters.
        ([("d1", 100, 105), ("d1", 100, 105)], 0, 0, 0.5),
        ([("d1", 100, 110), ("d1", 100, 110)], 1, 1, 1),
        ([("d1", 100, 106), ("d1", 104, 110)], 1, 1 / 2, 0.6 + 0.4 * SECOND),
    ],
)
def test_scores_worked_by_hand(places: list[Place], recall: float, reciprocal_rank: float, ndcg: float) -> None:
    found = score(places)
    assert (found.recall, found.reciprocal_rank) == (recall, reciprocal_rank)
    assert found.ndcg == pytest.approx(ndcg, abs=1e-12)


@pytest.mark.parametrize(
    ("k", "recall", "ndcg"), [(1, 0, 0.4), (2, 0, 0.4 + 0.3 * SECOND), (3, 1, 0.4 + 0.3 * SECOND + 0.3 * THIRD)]
)
def test_what_stands_after_k_does_not_count(k: int, recall: float, ndcg: float) -> None:
    found = score([("d1", 100, 104), ("d1", 104, 107), ("d1", 107, 110)], k=k)
    assert found.recall == recall
    assert found.reciprocal_rank == (1 / 3 if recall else 0)
    assert found.ndcg == pytest.approx(ndcg)


def test_the_hit_is_where_80_percent_are_first_covered_not_where_all_are() -> None:
    assert score([("d1", 100, 108), ("d1", 108, 110)]).reciprocal_rank == 1


def test_four_fifths_are_a_hit_at_every_length() -> None:
    # 0.8 × length in floating point must not come out above a whole number.
    for length in range(5, 2005, 5):
        question = make_question("q", doc_id="d1", start=0, end=length)
        covered = 4 * length // 5
        assert score_retrieval(question, [chunk(("d1", 0, covered))], k=1).recall == 1
        assert score_retrieval(question, [chunk(("d1", 0, covered - 1))], k=1).recall == 0


def test_the_cut_of_the_corpus_moves_rank_discounts_only() -> None:
    whole = score([("d1", 100, 110)])
    halves = score([("d1", 100, 105), ("d1", 105, 110)])
    assert whole.recall == halves.recall == 1
    assert halves.ndcg == pytest.approx((1 + SECOND) / 2)


def test_a_question_without_a_gold_span_has_no_retrieval_score() -> None:
    with pytest.raises(InputError, match="u with the span"):
        score_retrieval(make_question("u", start=100, end=100, answerable=False), [chunk(("d1", 90, 120))], k=3)
