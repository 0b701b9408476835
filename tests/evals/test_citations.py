from __future__ import annotations

import pytest
from support.questions import make_question

from fourfold.evals.citations import NOT_RECORDED, CitationScore, score_citations, summarise_citations
from fourfold.types import Chunk

# A gold span of ten characters: [100, 110) of document d1.
QUESTION = make_question("q", doc_id="d1", start=100, end=110)
WHOLE, LEFT, RIGHT, TOUCHING, OTHER = (
    ("d1", 90, 120), ("d1", 50, 104), ("d1", 104, 200), ("d1", 110, 200), ("d2", 90, 120),
)  # fmt: skip


def chunk(place: tuple[str, int, int]) -> Chunk:
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
        text="x",
    )


@pytest.mark.parametrize(
    ("places", "cited", "precision", "recall"),
    [
        ([WHOLE, OTHER], [1], 1, 1),
        ([WHOLE, OTHER], [2], 0, 0),
        ([WHOLE, OTHER], [1, 2], 1 / 2, 1),
        # Cited twice counts once.
        ([WHOLE, OTHER], [1, 1, 1, 2], 1 / 2, 1),
        # Four of ten characters: right, but it does not cover the gold; with the rest it does.
        ([LEFT, RIGHT], [1], 1, 0),
        ([LEFT, RIGHT], [2], 1, 0),
        ([LEFT, RIGHT], [1, 2], 1, 1),
        # Exactly 80%, and one character less.
        ([("d1", 0, 108)], [1], 1, 1),
        ([("d1", 0, 107)], [1], 1, 0),
        # The end is exclusive.
        ([TOUCHING], [1], 0, 0),
        # Numbers that no passage has.
        ([WHOLE], [0], 0, 0),
        ([WHOLE], [2], 0, 0),
        ([WHOLE], [-1], 0, 0),
        ([WHOLE], [1, 7], 1 / 2, 1),
        ([], [1], 0, 0),
    ],
)
def test_citations_worked_by_hand(
    places: list[tuple[str, int, int]], cited: list[int], precision: float, recall: float
) -> None:
    score = score_citations(QUESTION, [chunk(place) for place in places], cited)
    assert (score.precision, score.recall) == (precision, recall)
    assert score.precision_reason is score.recall_reason is None


def test_an_answer_that_cites_nothing_has_no_precision_and_recall_0() -> None:
    assert score_citations(QUESTION, [chunk(WHOLE)], []) == CitationScore(
        precision=None, precision_reason="the answer cites nothing", recall=0.0, recall_reason=None
    )


@pytest.mark.parametrize(
    ("end", "cited", "reason"), [(110, None, "not recorded"), (100, [1], "the question has no gold span")]
)
def test_without_record_or_gold_both_are_undefined(end: int, cited: list[int] | None, reason: str) -> None:
    question = make_question("q", doc_id="d1", start=100, end=end)
    assert score_citations(question, [chunk(WHOLE)], cited) == CitationScore(
        precision=None, precision_reason=reason, recall=None, recall_reason=reason
    )


def test_the_mean_leaves_out_what_is_undefined_and_says_not_recorded_without_records() -> None:
    def of(precision: float | None, reason: str | None) -> CitationScore:
        return CitationScore(precision=precision, precision_reason=reason, recall=1.0, recall_reason=None)

    found = summarise_citations([of(0.5, None), of(None, "the answer cites nothing"), of(1.0, None)], ["a", "b", "c"])
    assert (found.precision.value, found.precision.n, found.precision.n_missing) == (0.75, 2, 1)
    assert found.recall.value == 1
    bare = CitationScore(precision=None, precision_reason=NOT_RECORDED, recall=None, recall_reason=NOT_RECORDED)
    none = summarise_citations([bare, bare], ["a", "b"])
    assert (none.precision.value, none.precision.reason) == (None, "not recorded")
    assert (none.recall.value, none.recall.reason) == (None, "not recorded")
