"""The engines of the knowledge filter; the cross-encoder has a file of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from fourfold.llm.port import Chat, Refusal
from fourfold.retrieval.modules.judge_logprobs import LogprobScorer
from fourfold.retrieval.modules.judge_prompted import PromptedJudge
from fourfold.retrieval.modules.knowledge_filter import Judgement, Pair, ThresholdJudge
from fourfold.retrieval.modules.ports import Likelihood, Reply

PAIR = Pair(premise="The pump runs at noon.", hypothesis="When does the pump run?")


@pytest.mark.parametrize(
    ("text", "entailed"),
    [
        ("Yes", True), ("yes, it does", True), ("**No**", False), ("No.", False), ("Not at all", False),
        ("'Entailment'", True), ("True", True), ("neutral", False), ("1. Yes", True),
    ],
)  # fmt: skip
def test_the_first_word_is_the_judgement(text: str, entailed: bool) -> None:
    (judged,) = PromptedJudge(lambda _chats, **_: [Reply(text=text, n_tokens=5)]).judge([PAIR])
    assert judged == Judgement(entailed=entailed, n_tokens=5)


@pytest.mark.parametrize("text", ["", "Maybe", "The passage says yes", "42"])
def test_another_word_is_a_failure_and_no_contradiction(text: str) -> None:
    (judged,) = PromptedJudge(lambda _chats, **_: [Reply(text=text, n_tokens=5)]).judge([PAIR])
    assert judged.entailed is None
    assert judged.failure == f"the reply is neither yes nor no: {text!r}"


def test_a_refused_call_is_a_failure_in_every_engine() -> None:
    prompted = PromptedJudge(lambda chats, **_: [Refusal(reason="too long") for _ in chats])
    scored = ThresholdJudge(LogprobScorer(lambda chats, _: [Refusal(reason="too long") for _ in chats]), 0.5)
    assert prompted.judge([PAIR]) == scored.judge([PAIR]) == [Judgement(entailed=None, failure="too long")]


def test_premise_and_hypothesis_reach_the_model_a_statement_as_it_stands() -> None:
    seen: list[Chat] = []

    def score(chats: Sequence[Chat], _: Sequence[str]) -> list[Likelihood]:
        seen.extend(chats)
        return [Likelihood(logprobs=(0.0, 0.0), n_tokens=1) for _ in chats]

    LogprobScorer(score).score([PAIR, Pair(premise="p", hypothesis="It is noon.", kind="statement")])
    asked, stated = (chat[-1].content for chat in seen)
    assert "Passage: The pump runs at noon." in asked
    assert "clear, unambiguous answer to the question: When does the pump run?" in asked
    assert "Statement: It is noon.\n" in stated


@pytest.mark.parametrize(
    ("yes", "no", "score"),
    [(math.log(0.3), math.log(0.1), 0.75), (-5.0, -5.0, 0.5), (-900.0, -1.0, 0.0), (-1.0, -900.0, 1.0)],
)
def test_the_score_is_the_share_of_yes(yes: float, no: float, score: float) -> None:
    (judged,) = LogprobScorer(lambda _chats, _: [Likelihood(logprobs=(yes, no), n_tokens=3)]).score([PAIR])
    assert judged.score == pytest.approx(score, abs=1e-12)
    assert judged.n_tokens == 3


def test_a_log_probability_that_is_no_number_is_a_failure() -> None:
    (judged,) = LogprobScorer(lambda _chats, _: [Likelihood(logprobs=(math.nan, -1.0), n_tokens=3)]).score([PAIR])
    assert (judged.entailed, judged.score) == (None, None)
    assert judged.failure is not None


def test_the_threshold_itself_is_kept() -> None:
    class Scorer:
        def score(self, pairs: Sequence[Pair]) -> list[Judgement]:
            return [Judgement(entailed=True, score=score) for _, score in zip(pairs, (0.2, 0.3), strict=True)]

    assert [one.entailed for one in ThresholdJudge(Scorer(), 0.3).judge([PAIR, PAIR])] == [False, True]
