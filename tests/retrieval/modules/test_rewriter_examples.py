from __future__ import annotations

from support.questions import make_question

from fourfold.retrieval.modules.rewriter import parse_reply
from fourfold.retrieval.modules.rewriter_examples import build_examples, gold_candidates

QUESTION = make_question("q", question="How often is the pump checked?", section=("2 Upkeep", "2.1 Pumps"))


def test_candidates_are_keywords_alone_with_their_heading_and_with_their_document() -> None:
    assert gold_candidates(QUESTION) == (
        "often pump checked", "2.1 Pumps often pump checked", "pump often pump checked",
    )  # fmt: skip


def test_a_question_of_asking_words_alone_yields_none() -> None:
    assert gold_candidates(make_question("q", question="What is it?")) == ()


def test_a_row_holds_the_queries_that_find_the_gold_best_first() -> None:
    ranks = {("q", "a"): 3, ("q", "b"): None, ("q", "c"): 1, ("q", "d"): 3}
    (example,) = build_examples([QUESTION], {"q": "abcd"}, ranks, n_queries=2)
    assert parse_reply(example.reply, 8) == (QUESTION.question, ("c", "a"))


def test_a_question_without_a_query_that_finds_makes_no_row() -> None:
    others = [QUESTION, make_question("r")]
    assert build_examples(others, {"q": ["a"]}, {("q", "a"): None}, n_queries=2) == ()
