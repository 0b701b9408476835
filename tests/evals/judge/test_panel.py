from __future__ import annotations

from typing import Any

import pytest

from fourfold.evals.judge.debate import round_of
from fourfold.evals.judge.panel import agreement_of, combined_scores, last_round, said_by, severity_of
from fourfold.evals.judge.rubric import RUBRICS
from fourfold.study import JudgeSettings, ModelSettings
from fourfold.types import Answer, Judgement

TWO = (ModelSettings(id="a"), ModelSettings(id="b"))


def judgement(judge: str, question_id: str, value: float | None, **fields: Any) -> Judgement:
    defaults: dict[str, Any] = {"arm": "base", "tuning_seed": None, "criterion": "correctness", "repeat": 0}
    return Judgement(
        judge=judge, question_id=question_id, value=value,
        failure=None if value is not None else "no rating in the reply", **{**defaults, **fields},
    )  # fmt: skip


def answer(question_id: str) -> Answer:
    return Answer(
        arm="base", tuning_seed=None, question_id=question_id, text="it runs", failure=None, n_prompt_tokens=1,
        n_answer_tokens=1, mean_logprob=None, finish_reason="stop", chunk_ids=(), example_ids=(), generation=None,
    )  # fmt: skip


def test_judges_and_repeats_become_one_score_per_answer() -> None:
    settings = JudgeSettings(judges=TWO, criteria=("correctness",), repeats=2)
    said = [
        judgement(judge, "q0", value, repeat=repeat)
        for judge, values in (("a", (1.0, 0.5)), ("b", (0.0, 0.5)))
        for repeat, value in enumerate(values)
    ]
    (row,) = combined_scores(settings, said, [answer("q0")], {})
    assert (row.metric, row.value, row.reason) == ("judge: correctness", 0.5, None)


def test_an_answer_that_one_judge_failed_on_has_no_score_but_that_judges_reason() -> None:
    settings = JudgeSettings(judges=TWO, criteria=("correctness",))
    said = [judgement("a", "q0", 1.0), judgement("b", "q0", None), judgement("a", "q1", 1.0), judgement("b", "q1", 0.5)]
    rows = combined_scores(
        settings, said, [answer("q0"), answer("q1"), answer("q2")], {("base", None, "q2"): "too long"}
    )
    assert [(row.value, row.reason) for row in rows] == [
        (None, "b: no rating in the reply"),
        (0.75, None),
        (None, "too long"),
    ]


def test_in_a_debate_only_the_last_round_counts() -> None:
    settings = JudgeSettings(judges=TWO, criteria=("correctness",), debate=True)
    assert last_round(settings) == 1
    assert last_round(JudgeSettings(debate=True)) == 0
    said = [judgement(judge, "q0", value, repeat=repeat) for repeat, value in ((0, 0.0), (1, 1.0)) for judge in "ab"]
    (row,) = combined_scores(settings, said, [answer("q0")], {})
    assert row.value == 1.0


def test_the_others_are_heard_by_number_with_their_reasons() -> None:
    said = [
        judgement("big", "q0", 0.55, reason="half of it"),
        judgement("me", "q0", 1.0),
        judgement("other", "q0", None),
        judgement("big", "q0", 1.0, repeat=1),
    ]
    heard = round_of(said, "me", RUBRICS["correctness"])
    assert heard == {("base", None, "q0"): "Judge 1 gives 3 (partial), because: half of it"}


def test_severity_is_taken_out_where_it_is_asked_for() -> None:
    values = {"kind": [1.0, 1.0, 0.5, 1.0, 0.5, 1.0], "strict": [0.5, 0.5, 0.0, 1.0, 0.0, 0.5]}
    said = [judgement(judge, f"q{at}", value) for judge, own in values.items() for at, value in enumerate(own)]
    severity = severity_of(said_by(said, "correctness"), RUBRICS["correctness"])
    assert severity.severity["strict"] > 0 > severity.severity["kind"]
    settings = JudgeSettings(judges=TWO, criteria=("correctness",), severity=True)
    rows = combined_scores(settings, said, [answer(f"q{at}") for at in range(6)], {})
    assert [row.value for row in rows] == pytest.approx(list(severity.fair))


def test_agreement_is_over_the_same_answers() -> None:
    said = [judgement("a", f"q{at}", float(at % 2)) for at in range(6)]
    said += [judgement("b", f"q{at}", float(at % 2)) for at in reversed(range(6))]
    found = agreement_of(said_by(said, "correctness"))
    assert found.alpha == pytest.approx(1.0)
    assert found.fleiss == pytest.approx(1.0)


def test_no_judgements_are_no_agreement() -> None:
    found = agreement_of(said_by([], "correctness"))
    assert (found.cohen, found.fleiss, found.alpha, found.spread) == ((), None, None, None)
