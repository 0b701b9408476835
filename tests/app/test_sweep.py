"""A sweep on the tiny model: what it refuses, what is carried out once, and what chooses."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.scripted import ScriptedContext, write_inputs

from fourfold.app import cli
from fourfold.app.grid import Point, load_points
from fourfold.app.progress import Reporter
from fourfold.app.sweep import Swept, carry_out_sweep, plan_sweep
from fourfold.errors import InputError
from fourfold.evals.report.sweep import render_sweep
from fourfold.evals.selection import Choice
from fourfold.store import Store
from fourfold.types import Answer, Score

GRID = ["index.chunk_tokens=64,96", "retrieval.k=1,2", "answer.arms=[base, base n-shot, rag, tuned]"]


@dataclass(frozen=True)
class Finished:
    study: Path
    runs: Path
    done: Swept


class Told(Reporter):
    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def sweep(study: Path, runs: Path, grid: list[str], reporter: Reporter | None = None) -> Swept:
    points, problems = load_points(study, grid)
    assert not problems
    with Store.open(runs) as store:
        context = ScriptedContext(
            study=points[0].study, store=store, reporter=reporter or Reporter(quiet=True), cache=runs / "cache"
        )
        return carry_out_sweep(context, points)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("swept")
    study = write_inputs(folder)
    return Finished(study, folder / "runs", sweep(study, folder / "runs", GRID))


def count_results(runs: Path) -> dict[str, int]:
    with Store.open(runs) as store:
        return dict(store.connection.execute("SELECT stage, count(*) FROM results GROUP BY stage").fetchall())


def points_of(folder: Path, *grid: str) -> tuple[Point, ...]:
    points, problems = load_points(write_inputs(folder), grid)
    assert not problems
    return points


def problems_of(folder: Path, *grid: str) -> list[str]:
    _, problems = plan_sweep(write_inputs(folder), grid, folder / "runs", cache=folder / "cache")
    return [str(problem) for problem in problems]


def test_the_grid_is_multiplied_out_with_the_last_setting_changing_fastest(tmp_path: Path) -> None:
    points = points_of(tmp_path, "index.chunk_tokens=64,96", "verdict.margin=0.1", "retrieval.k=1,3,5")
    seen = [(p.number, p.study.index.chunk_tokens, p.study.retrieval.k) for p in points]
    assert seen == [(1, 64, 1), (2, 64, 3), (3, 64, 5), (4, 96, 1), (5, 96, 3), (6, 96, 5)]
    assert points[1].changes == ("index.chunk_tokens=64", "retrieval.k=3")
    assert {point.study.verdict.margin for point in points} == {0.1}


def test_a_value_in_brackets_or_quotes_is_one_value(tmp_path: Path) -> None:
    fixed = ["answer.arms=[base, tuned + rag]", 'answer.instructions="Be brief, be right."', "retrieval.k=1,2"]
    points = points_of(tmp_path, *fixed)
    assert len(points) == 2
    assert {point.study.answer.arms for point in points} == {("base", "tuned + rag")}
    assert {point.study.answer.instructions for point in points} == {"Be brief, be right."}


@pytest.mark.parametrize("argument", ["retrieval.k", "retrieval.k=", "=1,2", "retrieval.k=1,2]", "retrieval.k=1,1"])
def test_a_setting_that_cannot_be_read_is_refused(tmp_path: Path, argument: str) -> None:
    (problem,) = problems_of(tmp_path, argument, "index.chunk_tokens=64,96")
    assert argument in problem


@pytest.mark.parametrize("grid", [["retrieval.k=3"], ["retrieval.k=1,2", "retrieval.k=3,4"], []])
def test_a_sweep_of_nothing_or_of_one_setting_twice_is_refused(tmp_path: Path, grid: list[str]) -> None:
    assert any("each named once" in problem for problem in problems_of(tmp_path, *grid))


@pytest.mark.parametrize(
    "argument",
    [
        "model.dtype=float32,bfloat16",
        "answer.instructions=Be brief.,Be long.",
        "answer.arms=[base],[base, rag]",
        "verdict.margin=0.05,0.1",
        "tuning.seeds=[0],[1]",
        "index.embedder=embedded,other",
        "index.query_prompt='query: ','ask: '",
        "questions.seed=0,1",
    ],
)
def test_what_must_be_the_same_for_all_arms_cannot_be_swept(tmp_path: Path, argument: str) -> None:
    (problem,) = problems_of(tmp_path, argument)
    assert argument.partition("=")[0] in problem
    assert "otherwise than the next" in problem


def test_a_sweep_with_a_limit_on_seconds_is_refused(tmp_path: Path) -> None:
    fixed = ["verdict.constraints.max_p95_seconds=2", "latency.enabled=true"]
    (problem,) = problems_of(tmp_path, "retrieval.k=1,2", *fixed)
    assert "measures no seconds" in problem


def test_the_mistakes_of_all_points_are_told_together_and_each_once(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path, "index.chunk_tokens=8,96,257,300", "retrieval.k=1,30", "questions.n_validation=0"
    )  # fmt: skip
    wanted = ["index.chunk_tokens = 8:", "retrieval.k = 30", "n_validation = 0", "chunk_tokens = 257",
              "chunk_tokens = 300"]  # fmt: skip
    for part in wanted:
        assert sum(part in problem for problem in problems) >= 1, part
    assert len(set(problems)) == len(problems)
    assert sum("chunk_tokens = 257" in problem for problem in problems) == 1
    assert not (tmp_path / "runs" / "tiny").exists()


def test_the_embedder_s_limit_itself_is_allowed(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "index.chunk_tokens=96,256") == []


def test_without_validation_questions_the_command_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_inputs(tmp_path)
    arguments = ["sweep", study, "retrieval.k=1,2", "questions.n_validation=0", "--runs", tmp_path / "runs"]
    monkeypatch.setattr(sys, "argv", ["fourfold", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    told = capsys.readouterr().err
    for part in ("seen:", "expected:", "do next:", "set questions.n_validation"):
        assert part in told


def test_a_k_that_an_index_cannot_fill_is_found_before_anything_is_tuned(tmp_path: Path) -> None:
    study = write_inputs(tmp_path)
    with pytest.raises(InputError, match="2 things are wrong"):
        sweep(study, tmp_path / "runs", ["retrieval.k=1,200,300", "retrieval.candidates=400"])
    assert set(count_results(tmp_path / "runs")) == {"ingest", "questions", "index"}


def test_what_points_share_is_carried_out_once(swept: Finished) -> None:
    n_chosen = len({chosen.choice.point for chosen in swept.done.report.chosen})
    assert n_chosen < 4
    assert count_results(swept.runs) == {
        "ingest": 1, "questions": 1, "index": 2, "tune": 4, "answer-validation": 4, "score-validation": 4,
        "answer": n_chosen, "score": n_chosen,
    }  # fmt: skip
    assert swept.done.n_stages_run == sum(count_results(swept.runs).values())


def test_test_questions_are_answered_only_by_the_arms_that_a_point_was_chosen_for(swept: Finished) -> None:
    chosen = {(c.choice.arm, c.results["answer"]) for c in swept.done.report.chosen}
    with Store.open(swept.runs) as store:
        answered = set(store.connection.execute(
            "SELECT DISTINCT arm, result FROM answers JOIN results ON key = result WHERE stage = 'answer'"
        ))  # fmt: skip
    assert answered == chosen


def test_every_arm_is_tried_at_every_point_on_the_same_validation_questions(swept: Finished) -> None:
    report = swept.done.report
    with Store.open(swept.runs) as store:
        asked = {
            (point.number, arm): {row.question_id for row in rows if row.arm == arm}
            for point in report.points
            for rows in [store.read(Answer, point.results["answer-validation"])]
            for arm in ("base", "base n-shot", "rag", "tuned")
        }
    assert len(asked) == 16
    (same,) = {frozenset(ids) for ids in asked.values()}
    assert len(same) == report.n_validation == 2


def test_every_figure_follows_from_rows_in_the_store(swept: Finished) -> None:
    report = swept.done.report
    points = {point.number: point for point in report.points}
    with Store.open(swept.runs) as store:
        for trial in report.trials:
            scores = store.read(Score, points[trial.point].results["score-validation"])
            assert trial.validation.value == pytest.approx(mean_of(scores, trial.arm, report.primary))
        for chosen in report.chosen:
            scores = store.read(Score, chosen.results["score"])
            assert chosen.test.value == pytest.approx(mean_of(scores, chosen.choice.arm, report.primary))
            assert chosen.changes == points[chosen.choice.point].changes


def mean_of(scores: tuple[Score, ...], arm: str, metric: str) -> float:
    values = [s.value or 0.0 for s in scores if (s.arm, s.metric) == (arm, metric)]
    return sum(values) / len(values)


def test_the_verdict_sentence_says_how_much_was_tried_for_each_arm(swept: Finished) -> None:
    told = "4 configurations were tried for every arm on the same 2 validation question(s); of these differ for the arm"
    assert swept.done.report.sentence.endswith(f"{told}: base 1, base n-shot 1, rag 4, tuned 4.")


def test_the_table_shows_every_trial_and_marks_one_an_arm(swept: Finished) -> None:
    lines = render_sweep(swept.done.report).splitlines()
    assert sum("index.chunk_tokens=" in line for line in lines) == 16 + 4
    marked = [line.removeprefix(">").split("  ")[1] for line in lines if line.startswith(">")]
    assert marked == ["base", "base n-shot", "rag", "tuned"]


def test_each_arm_is_tested_at_the_point_that_was_chosen_for_it_alone(
    swept: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tiny model knows nothing, so that every arm ties; the choice is given instead.
    chosen = {"base": 1, "base n-shot": 2, "rag": 4, "tuned": 3}
    monkeypatch.setattr(
        "fourfold.app.sweep.choose",
        lambda _: tuple(Choice(arm=a, point=p, n_points=4, n_configurations=4) for a, p in chosen.items()),
    )
    runs = shutil.copytree(swept.runs, tmp_path / "runs")
    report = sweep(swept.study, runs, GRID).report
    with Store.open(runs) as store:
        for shown in report.chosen:
            answers = store.read(Answer, shown.results["answer"])
            assert {answer.arm for answer in answers} == {shown.choice.arm}
            tokens = [answer.n_prompt_tokens + answer.n_answer_tokens for answer in answers]
            assert shown.tokens == pytest.approx(sum(tokens) / len(tokens))
        (rag,) = (shown for shown in report.chosen if shown.choice.arm == "rag")
        used = store.read(Answer, rag.results["answer"])
    assert rag.changes == ("index.chunk_tokens=96", "retrieval.k=2")
    assert {len(answer.chunk_ids) for answer in used} == {2}
    assert [arm.arm for arm in report.arms] == ["base", "base n-shot", "rag", "tuned"]
    assert report.verdict.n_questions == 12
    assert "4 configurations were tried for every arm on the same 2 validation question(s)." in report.sentence


def test_the_file_holds_the_report_with_every_point_s_study(swept: Finished) -> None:
    held: dict[str, Any] = json.loads((swept.done.folder / "sweep.json").read_text(encoding="utf-8"))
    assert swept.done.folder == swept.runs / "tiny"
    assert held["points"][0]["changes"] == ["index.chunk_tokens=64", "retrieval.k=1"]
    assert [point["settings"]["retrieval"]["k"] for point in held["points"]] == [1, 2, 1, 2]
    assert len(held["trials"]) == 16
    assert held["verdict"]["outcome"] == swept.done.report.verdict.outcome


def test_a_second_sweep_does_nothing(swept: Finished) -> None:
    told = Told()
    again = sweep(swept.study, swept.runs, GRID, told)
    assert (again.n_stages_run, again.report) == (0, swept.done.report)
    assert [line for line in told.lines if line.endswith(" …")] == []
    assert sum(line.startswith("point ") for line in told.lines) == 4
