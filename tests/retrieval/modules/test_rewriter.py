from __future__ import annotations

from collections.abc import Sequence

import pytest

from fourfold.llm.port import Chat, Refusal
from fourfold.retrieval.modules.ports import Reply
from fourfold.retrieval.modules.rewriter import Rewriter, format_reply, parse_reply


@pytest.mark.parametrize(
    "text",
    [
        "Question: How fast is the pump?\nQuery: pump speed\nQuery: litres per minute",
        "**Question:** How fast is the pump?\n**Query 1:** pump speed\n**Query 2:** litres per minute",
        "Here you are.\nRewritten question: How fast is the pump?\n\n1. pump speed\n2) litres per minute\n",
        'question : "How fast is the pump?"\n- pump speed\n* litres  per minute\n- pump speed',
        'Sure: {"question": "How fast is the pump?", "queries": ["pump speed", "litres per minute"]}',
        "Question: How fast is the pump?\nSearch query: pump speed\nsearch query: litres per minute\nQuestion: Again?",
    ],
)
def test_replies_in_many_forms_are_read(text: str) -> None:
    assert parse_reply(text, 4) == ("How fast is the pump?", ("pump speed", "litres per minute"))


@pytest.mark.parametrize(
    "text",
    [
        "", "I cannot do that.", "Question: How fast?", "Query: pump speed", "Question:\nQuery: a",
        "Question: a\nQuery:",
        '{"question": "a"}', '{"question": "a", "queries": "b"}', '{"question": 1, "queries": ["b"]}', "{" * 5000 + "}",
        '{"question": " ", "queries": ["b"]}',
    ],
)  # fmt: skip
def test_a_reply_without_question_or_queries_is_none(text: str) -> None:
    assert parse_reply(text, 4) is None


def test_of_more_queries_the_first_are_used() -> None:
    parsed = parse_reply("Question: q\nQuery: a\nQuery: b\nQuery: c", 2)
    assert parsed == ("q", ("a", "b"))


def test_what_is_learnt_is_what_is_read() -> None:
    assert parse_reply(format_reply("q?", ("a", "b")), 4) == ("q?", ("a", "b"))


class Writer:
    def __init__(self, replies: Sequence[Reply | Refusal]) -> None:
        self.replies = replies
        self.asked: list[Sequence[Chat]] = []

    def __call__(self, chats: Sequence[Chat], *, max_tokens: int) -> Sequence[Reply | Refusal]:
        assert max_tokens == 16
        self.asked.append(chats)
        return self.replies


def test_failures_keep_the_question_and_say_why_and_all_are_asked_together() -> None:
    good = Reply(text="Question: Better?\nQuery: Better?\nQuery: b", n_tokens=9)
    write = Writer([good, Reply(text="no idea", n_tokens=7), Refusal(reason="too long")])
    found = Rewriter(write, n_queries=4, max_tokens=16).rewrite(["one?", "two?", "three?"])
    assert [len(chats) for chats in write.asked] == [3]
    assert "Question: two?" in write.asked[0][1][-1].content
    assert [one.question for one in found] == ["Better?", "two?", "three?"]
    assert [one.queries for one in found] == [("Better?", "b"), ("two?",), ("three?",)]
    assert [one.n_tokens for one in found] == [9, 7, 0]
    assert [one.failure for one in found] == [
        None, "the reply holds no question with queries: 'no idea'", "too long",
    ]  # fmt: skip
