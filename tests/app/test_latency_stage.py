"""The latency pass: on a tiny study, and its orders and groups by themselves."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.questions import make_question
from support.scripted import run_scripted

from fourfold.app.stages.latency import draw_questions, measure, whole_groups
from fourfold.arms import PLANS, ArmPlan
from fourfold.evals.latency import arm_latencies
from fourfold.store import Store
from fourfold.types import Answer, Latency, Question

if TYPE_CHECKING:
    from app.conftest import Finished

QUESTIONS = [make_question(f"q{k:02}") for k in range(10)]
CONCURRENCY = 4


@pytest.fixture(scope="module")
def measured(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = shutil.copytree(finished.runs, tmp_path_factory.mktemp("latency") / "runs")
    run_scripted(finished.study, runs, overrides=["latency.enabled=true", f"latency.concurrency={CONCURRENCY}"])
    return runs


def stored(runs: Path) -> tuple[tuple[Latency, ...], tuple[Answer, ...], dict[str, object], int]:
    """Latencies, answers, the stage's summary, and how many generations the store holds."""
    with Store.open(runs) as store:
        keys = dict(store.connection.execute("SELECT stage, key FROM results").fetchall())
        (n_generations,) = store.connection.execute("SELECT count(*) FROM generations").fetchone()
        result = store.find(keys["latency"])
        assert result is not None
        return (
            store.read(Latency, keys["latency"]),
            store.read(Answer, keys["answer"]),
            dict(result.summary),
            n_generations,
        )


def test_a_study_without_the_pass_has_no_such_stage(finished: Finished) -> None:
    with Store.open(finished.runs) as store:
        assert store.connection.execute("SELECT count(*) FROM results WHERE stage = 'latency'").fetchone() == (0,)


def test_every_arm_is_asked_every_question_alone_and_then_several_at_once(measured: Path) -> None:
    rows, answers, summary, _ = stored(measured)
    pairs = {(answer.arm, answer.question_id) for answer in answers}
    alone = [row for row in rows if row.concurrency == 1]
    assert Counter((row.arm, row.question_id) for row in alone) == Counter(pairs)
    together = [row for row in rows if row.concurrency > 1]
    n_questions = len({question for _, question in pairs})
    assert {row.concurrency for row in together} == {CONCURRENCY}
    assert len(together) == n_questions // CONCURRENCY * CONCURRENCY * len({arm for arm, _ in pairs})
    assert (summary["n_questions"], summary["n_wanted"], summary["n_failed"]) == (n_questions, 30, 0)


def test_times_are_positive_and_retrieval_is_a_part_of_them(measured: Path) -> None:
    rows, _, _, _ = stored(measured)
    for row in rows:
        assert row.seconds is not None
        assert row.seconds > 0
        assert (row.retrieval_seconds is not None) == ("rag" in row.arm)
        assert row.retrieval_seconds is None or 0 < row.retrieval_seconds < row.seconds


def test_the_prompts_are_those_that_were_answered(measured: Path) -> None:
    rows, answers, _, _ = stored(measured)
    expected = {(answer.arm, answer.question_id): answer.n_prompt_tokens for answer in answers}
    assert {row.n_prompt_tokens - expected[row.arm, row.question_id] for row in rows} == {0}


def test_no_answer_is_taken_from_the_cache_or_put_there(finished: Finished, measured: Path) -> None:
    with Store.open(finished.runs) as store:
        (before,) = store.connection.execute("SELECT count(*) FROM generations").fetchone()
    rows, _, _, after = stored(measured)
    assert after == before
    assert all(row.n_answer_tokens > 0 for row in rows)


def test_fewer_than_30_questions_give_no_figure_but_a_reason(measured: Path) -> None:
    rows, answers, _, _ = stored(measured)
    found = arm_latencies(rows)
    assert {arm.arm for arm in found} == {answer.arm for answer in answers}
    n = len({answer.question_id for answer in answers})
    assert {(arm.p50.value, arm.p50.reason) for arm in found} == {
        (None, f"{n} answered requests: at least 30 are needed")
    }


def test_the_pass_is_made_once(finished: Finished, measured: Path) -> None:
    before = stored(measured)[0]
    again = run_scripted(
        finished.study, measured, overrides=["latency.enabled=true", f"latency.concurrency={CONCURRENCY}"]
    )
    assert again.n_stages_run == 0
    assert stored(measured)[0] == before


def timed(plan: ArmPlan, group: Sequence[Question], batch: int) -> list[Latency]:
    return [
        Latency(
            arm=plan.name, question_id=question.question_id, batch=batch, concurrency=len(group), seconds=1.0,
            retrieval_seconds=None, n_prompt_tokens=1, n_answer_tokens=1, failure=None,
        )
        for question in group
    ]  # fmt: skip


def test_each_arm_is_warmed_up_once_and_that_is_not_recorded() -> None:
    asked: list[int] = []

    def ask(plan: ArmPlan, group: Sequence[Question], batch: int) -> list[Latency]:
        asked.append(batch)
        return timed(plan, group, batch)

    told: list[tuple[int, int]] = []
    groups = [[question] for question in QUESTIONS]
    rows = measure(PLANS[:4], groups, ask, seed=0, told=lambda done, total: told.append((done, total)))
    assert asked[:4] == [-1] * 4
    assert min(row.batch for row in rows) == 0
    assert len(rows) == 4 * len(QUESTIONS)
    assert told == [(done, 40) for done in range(1, 41)]


def test_arms_take_turns_within_each_question_in_an_order_that_changes() -> None:
    groups = [[question] for question in QUESTIONS]
    rows = measure(PLANS[:4], groups, timed, seed=0, told=lambda *_: None)
    rounds = [tuple(row.arm for row in rows[at : at + 4]) for at in range(0, len(rows), 4)]
    assert all(len(set(arms)) == 4 for arms in rounds)
    assert [row.question_id for row in rows[::4]] == [question.question_id for question in QUESTIONS]
    assert len(set(rounds)) > 5
    again = measure(PLANS[:4], groups, timed, seed=0, told=lambda *_: None)
    assert again == rows
    assert measure(PLANS[:4], groups, timed, seed=1, told=lambda *_: None) != rows


def test_the_draw_depends_on_the_seed_and_not_on_the_order_given() -> None:
    drawn = draw_questions(QUESTIONS, n=4, seed=0)
    assert len({question.question_id for question in drawn}) == 4
    assert draw_questions(QUESTIONS[::-1], n=4, seed=0) == drawn
    assert draw_questions(QUESTIONS, n=4, seed=1) != drawn
    assert len(draw_questions(QUESTIONS, n=30, seed=0)) == len(QUESTIONS)


@pytest.mark.parametrize(("size", "sizes"), [(2, [2] * 5), (3, [3] * 3), (10, [10]), (11, [10]), (6, [6])])
def test_a_rest_is_left_out_but_one_smaller_group_is_kept(size: int, sizes: list[int]) -> None:
    groups = whole_groups(QUESTIONS, size)
    assert [len(group) for group in groups] == sizes
    assert [question for group in groups for question in group] == QUESTIONS[: sum(sizes)]
