from __future__ import annotations

import math

import pytest
from support.judges import ScriptedJudge, user_text

from fourfold.evals.judge.pairwise import PairItem, judge_pairs, pair_bias, settle, win_rates
from fourfold.llm.port import Chat, Refusal
from fourfold.types import Preference


def item(question_id: str, answer_a: str = "every 4 hours, says the manual", answer_b: str = "often") -> PairItem:
    return PairItem(
        question_id=question_id, question="How often?", reference="every 4 hours",
        a="rag", b="base", answer_a=answer_a, answer_b=answer_b,
    )  # fmt: skip


def first_is(chat: Chat, text: str) -> bool:
    return f"First answer:\n| {text}" in user_text(chat)


def prefers(text: str) -> ScriptedJudge:
    """A judge that prefers one answer wherever it stands."""
    return ScriptedJudge(write=lambda chat: '{"rating": 1}' if first_is(chat, text) else '{"rating": 2}')


CLUSTERS = {f"q{at}": f"c{at}" for at in range(4)}
TEXTS = {(arm, f"q{at}"): text for at in range(4) for arm, text in (("rag", "every 4 hours"), ("base", "often"))}


def test_both_orders_are_always_asked() -> None:
    judge = prefers("often")
    found = judge_pairs(judge, [item("q0")])
    assert [(one.first, one.second, one.choice) for one in found] == [
        ("rag", "base", "second"),
        ("base", "rag", "first"),
    ]
    assert len(judge.asked) == 2
    assert settle(found) == {("q0", "rag", "base"): 0.0}


def test_orders_that_disagree_are_a_tie_and_counted_as_position_bias() -> None:
    judge = ScriptedJudge(write=lambda _: '{"rating": 1}')
    found = judge_pairs(judge, [item(f"q{at}") for at in range(4)])
    assert set(settle(found).values()) == {0.5}
    (bias,) = pair_bias(found, TEXTS, CLUSTERS)
    assert (bias.position.value, bias.first.value) == (1.0, 1.0)
    assert bias.length.value is None
    (rate,) = win_rates(settle(found), ("base", "rag"), CLUSTERS)
    assert (rate.a, rate.b, rate.rate.value, rate.ties) == ("rag", "base", 0.5, 4)


def test_a_judge_that_prefers_what_is_longer_shows_it() -> None:
    def longer(chat: Chat) -> str:
        text = user_text(chat)
        first, second = text.partition("First answer:\n")[2].split("\n\nSecond answer:\n")
        return '{"rating": 1}' if len(first) > len(second.partition("\n\n")[0]) else '{"rating": 2}'

    found = judge_pairs(ScriptedJudge(write=longer), [item(f"q{at}") for at in range(4)])
    (bias,) = pair_bias(found, TEXTS, CLUSTERS)
    assert (bias.position.value, bias.length.value) == (0.0, 1.0)


def test_probabilities_choose_the_likeliest_and_equal_ones_are_a_tie() -> None:
    sure = ScriptedJudge(weigh=lambda _: (math.log(0.1), math.log(0.7), math.log(0.2)))
    assert [one.choice for one in judge_pairs(sure, [item("q0")])] == ["second", "second"]
    torn = ScriptedJudge(weigh=lambda _: (-1.0, -1.0, -3.0))
    assert [one.choice for one in judge_pairs(torn, [item("q0")])] == ["tie", "tie"]


def test_a_pair_that_failed_in_one_order_is_missing_not_a_tie() -> None:
    judge = ScriptedJudge(
        write=lambda chat: Refusal(reason="429 Too Many Requests") if first_is(chat, "often") else '{"rating": 1}'
    )
    found = judge_pairs(judge, [item("q0")])
    assert [one.failure for one in found] == [None, "429 Too Many Requests"]
    assert settle(found) == {("q0", "rag", "base"): None}
    (rate,) = win_rates(settle(found), ("base", "rag"), {"q0": "c0"})
    assert (rate.rate.value, rate.n_failed) == (None, 1)


def test_win_rates_are_clustered_and_leave_other_questions_out() -> None:
    settled: dict[tuple[str, str, str], float | None] = {
        ("q0", "rag", "base"): 1.0, ("q1", "rag", "base"): 1.0, ("q2", "base", "rag"): 1.0, ("q9", "rag", "base"): 0.0,
    }  # fmt: skip
    (rate,) = win_rates(settled, ("base", "rag"), {"q0": "c0", "q1": "c0", "q2": "c1"})
    assert rate.rate.value == pytest.approx(2 / 3)
    assert (rate.wins, rate.losses, rate.rate.n_clusters) == (2, 1, 2)


def test_several_judges_are_settled_each_by_itself_and_averaged() -> None:
    def preferences(judge: str, *choices: str) -> list[Preference]:
        return [
            Preference(question_id="q0", judge=judge, first=first, second=second, choice=choice, failure=None)  # type: ignore[arg-type]
            for (first, second), choice in zip((("rag", "base"), ("base", "rag")), choices, strict=True)
        ]

    found = settle([*preferences("a", "first", "second"), *preferences("b", "first", "first")])
    assert found == {("q0", "rag", "base"): 0.75}


def test_no_pairs_are_no_preferences() -> None:
    assert judge_pairs(prefers("x"), []) == []
    assert settle([]) == {}
    assert pair_bias([], {}, {}) == ()
