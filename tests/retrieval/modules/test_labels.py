from __future__ import annotations

import pytest
from support.questions import make_question

from fourfold.retrieval.modules.labels import covered_share, label_passages
from fourfold.types import Chunk


def chunk(chunk_id: str, start: int, end: int, doc_id: str = "d1") -> Chunk:
    return Chunk(
        chunk_id=chunk_id, doc_id=doc_id, position=0, start=start, end=end, page_first=1, page_last=1, section=(),
        n_tokens=1, text=chunk_id,
    )  # fmt: skip


QUESTION = make_question("q", start=10, end=20)


@pytest.mark.parametrize(
    ("start", "end", "doc_id", "share"),
    [(0, 10, "d1", 0), (0, 15, "d1", 0.5), (12, 30, "d1", 0.8), (0, 99, "d1", 1), (0, 99, "d2", 0), (20, 30, "d1", 0)],
)
def test_the_share_is_that_of_the_quotes_characters(start: int, end: int, doc_id: str, share: float) -> None:
    assert covered_share(QUESTION, chunk("c", start, end, doc_id)) == pytest.approx(share)


def test_a_question_without_gold_is_covered_by_nothing() -> None:
    assert covered_share(make_question("q", start=0, end=0), chunk("c", 0, 9)) == 0


def test_gold_is_labelled_though_not_found_and_parts_of_it_are_left_out() -> None:
    chunks = [chunk("gold", 8, 22), chunk("part", 0, 15), chunk("other", 30, 40), chunk("far", 50, 60)]
    pairs = label_passages([QUESTION], [("q", "part"), ("q", "other")], chunks)
    assert [(pair.pair.premise, pair.entailed) for pair in pairs] == [("gold", True), ("other", False)]
    assert {pair.pair.hypothesis for pair in pairs} == {QUESTION.question}
