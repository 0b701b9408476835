"""The judge on a tiny study: what it adds, what it is shown, what is kept, and what a bad judge may do."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.judges import make_item
from support.openai_server import Asked, OpenAIServer, Reply, answer, failure, listing
from support.scripted import ScriptedContext

from fourfold.app import cli
from fourfold.app.judge_models import Bench
from fourfold.app.labels import write_sample
from fourfold.app.progress import Reporter
from fourfold.app.run import Done, carry_out
from fourfold.errors import QuestionError, StudyError
from fourfold.evals.judge.pointwise import judge_items
from fourfold.evals.judge.rubric import RUBRICS
from fourfold.evals.report.html import render_html
from fourfold.store import Store
from fourfold.study import ModelSettings, StudySettings
from fourfold.study_file import load_study
from fourfold.types import Answer, Guideline, Judgement, Preference, Question, Score

if TYPE_CHECKING:
    from app.conftest import Finished

ARMS = "answer.arms=[base, rag]"
OWN = "judge.judges=[{id: model, dtype: float32}]"
JUDGED = (ARMS, OWN)
FRESH = ("name=fresh", *JUDGED, "judge.criteria=[correctness]")


class Told(Reporter):
    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    @property
    def begun(self) -> list[str]:
        return [text.removesuffix(" …") for text in self.said if text.endswith(" …")]


def run(study: Path, runs: Path, *overrides: str, reporter: Reporter | None = None) -> Done:
    """Carry out a study with the scripted engine, and close what its judges hold open."""
    with Store.open(runs) as store:
        context = ScriptedContext(
            study=load_study(study, overrides), store=store, reporter=reporter or Told(), cache=runs / "cache"
        )
        with closing(context):
            return carry_out(context)


def stored(runs: Path, record_type: Any, stage: str) -> Any:
    with Store.open(runs) as store:
        found = store.connection.execute("SELECT key FROM results WHERE stage = ?", (stage,)).fetchall()
        return [row for (key,) in found for row in store.read(record_type, key)]


@pytest.fixture(scope="module")
def judged(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done, Told]:
    """The finished study, judged in its own process by the student itself."""
    told = Told()
    runs = shutil.copytree(finished.runs, tmp_path_factory.mktemp("judged") / "runs")
    done = run(finished.study, runs, *JUDGED, "judge.pairwise=true", reporter=told)
    return runs, done, told


def served(
    finished: Finished, tmp_path: Path, script: Callable[[Asked], Reply], *overrides: str, **endpoint: Any
) -> tuple[Done, Path, list[Asked]]:
    """The finished study, judged by a server."""
    runs = shutil.copytree(finished.runs, tmp_path / "runs")

    def play(asked: Asked) -> Reply:
        return listing("grader", max_model_len=8192) if asked.path.endswith("/models") else script(asked)

    with OpenAIServer(play) as server:
        settings = {"urls": [server.url], "model": "grader", "retries": 0, "timeout_s": 2, **endpoint}
        judges = json.dumps([{"endpoint": settings}])
        done = run(finished.study, runs, ARMS, f"judge.judges={judges}", *overrides)
        return done, runs, list(server.asked)


def test_a_study_without_a_judge_has_none_of_its_stages(finished: Finished) -> None:
    with Store.open(finished.runs) as store:
        names = {name for (name,) in store.connection.execute("SELECT stage FROM results")}
    assert not any("judge" in name or name == "rubric" for name in names)
    assert finished.done.report is not None
    assert finished.done.report.judge is None


def test_every_answer_has_a_score_per_criterion_and_a_judgement_behind_it(judged: tuple[Path, Done, Told]) -> None:
    runs, done, _ = judged
    scores = stored(runs, Score, "judge")
    assert {row.metric for row in scores} == {"judge: correctness", "judge: groundedness"}
    assert len(scores) == 2 * 2 * 12
    for criterion in ("correctness", "groundedness"):
        rows = stored(runs, Judgement, f"judge-1-{criterion}")
        value = {(row.arm, row.question_id): row.value for row in rows}
        for row in scores:
            if row.metric == f"judge: {criterion}":
                assert row.value == value[row.arm, row.question_id]
                assert 0 <= row.value <= 1
        assert all(sum(row.probabilities) == pytest.approx(1) for row in rows)
    assert done.report is not None
    shown = {scores for q in done.report.questions for a in q.answers for scores in a.scores}
    assert {"judge: correctness", "judge: groundedness"} < shown


def test_a_second_run_judges_nothing_again_and_another_criterion_only_itself(
    finished: Finished, judged: tuple[Path, Done, Told], tmp_path: Path
) -> None:
    runs = shutil.copytree(judged[0], tmp_path / "runs")
    told = Told()
    again = run(finished.study, runs, *JUDGED, "judge.pairwise=true", reporter=told)
    assert told.begun == []
    assert again.report == judged[1].report
    more = ["judge.criteria=[correctness, groundedness, succinctness]", "judge.pairwise=true"]
    told = Told()
    run(finished.study, runs, *JUDGED, *more, reporter=told)
    assert "answer" not in told.begun
    assert "judge-1-succinctness" in told.begun
    assert not {"judge-1-correctness", "judge-1-groundedness"} & set(told.begun)


def test_the_expected_time_is_told_with_the_first_judgements(judged: tuple[Path, Done, Told]) -> None:
    said = judged[2].said
    (expected,) = (line for line in said if "expected to take about" in line)
    assert expected.startswith("  48 judgements")
    assert said.index(expected) < next(at for at, line in enumerate(said) if line.startswith("judge-1-correctness: "))


def test_an_uncalibrated_judge_is_not_relied_on_and_the_report_says_so(judged: tuple[Path, Done, Told]) -> None:
    report = judged[1].report
    assert report is not None
    assert report.judge is not None
    for shown in report.judge.criteria:
        assert not shown.standing.relied_on
        assert shown.shift is not None
        assert shown.mass is not None
        assert [arm.arm for arm in shown.arms] == ["base", "rag"]
        assert [(d.a, d.b) for d in shown.differences] == [("rag", "base")]
        assert sum(count.n for count in shown.failures[0]) == report.n_questions
    assert any("are not relied on: reference metrics decide" in caveat for caveat in report.caveats)
    assert any("one family" in caveat for caveat in report.caveats)
    assert any("not frozen before the first answer" in caveat for caveat in report.caveats)
    assert [(win.a, win.b) for win in report.judge.wins] == [("rag", "base")]
    page = render_html(report)
    assert "correctness: not relied on: not calibrated on labels of this study" in page
    assert "Side by side" in page


def test_both_orders_of_every_pair_are_stored(judged: tuple[Path, Done, Told]) -> None:
    rows = stored(judged[0], Preference, "judge-1-pairs")
    orders = {(row.question_id, row.first, row.second) for row in rows}
    assert len(orders) == len(rows) == 24
    assert {(q, b, a) for q, a, b in orders} == orders


def test_the_rubric_of_a_fresh_study_is_frozen_before_its_first_answer(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    # Another name is another study, whose answers are all still to come.
    told = Told()
    done = run(finished.study, runs, *FRESH, reporter=told)
    assert done.report is not None
    assert done.report.judge is not None
    assert done.report.judge.frozen_before_answers
    changed = run(finished.study, runs, *FRESH, "judge.repeats=2")
    assert changed.report is not None
    assert changed.report.judge is not None
    assert not changed.report.judge.frozen_before_answers
    assert [shown.agreement.spread is not None for shown in changed.report.judge.criteria] == [True]


def test_a_judge_that_writes_is_shown_the_gold_passage_and_no_arms_contexts(finished: Finished, tmp_path: Path) -> None:
    done, runs, asked = served(finished, tmp_path, lambda _: answer('{"reason": "as it says", "rating": 4}'))
    graded = [one for one in asked if one.body]
    assert graded
    for one in graded:
        assert [message["role"] for message in one.body["messages"]] == ["system", "user"]
    questions = {q.question_id: q for q in stored(runs, Question, "questions") if q.split == "test"}
    passages = {one.words.partition("Passage:\n")[2].partition("\n\nAnswer:")[0] for one in graded}
    # One passage per question at most, whatever an arm was shown.
    assert 0 < len(passages - {""}) <= len(questions)
    assert done.report is not None
    assert done.report.judge is not None
    said = next(iter(done.report.judge.said.values()))
    assert {one.said for one in said} == {"as it says"}
    assert done.report.judge.criteria[0].arms[0].mean.value == 1.0
    assert done.report.judge.judges[0].same_family is None


def test_each_failed_judgement_is_counted_both_ways_with_its_reason(finished: Finished, tmp_path: Path) -> None:
    good = answer('{"rating": 4}', logprobs=None)
    bad = {
        "boiler": (answer("I would call it quite a good answer."), "no rating in the reply"),
        "reservoir": (answer('{"rating": '), "no rating in the reply"),
        "turbine": (answer(""), "wrote nothing"),
        "filter": (answer('{"reason": "It', finish_reason="length"), "cut off before a rating"),
        "sluice": (answer('{"rating": 11}'), "none of 4, 3, 2, 1"),
        "gauge": (failure(500, "broken"), "500"),
    }

    def script(asked: Asked) -> Reply:
        # Of two questions on each place, the one on the north plant.
        found = [reply for place, (reply, _) in bad.items() if f"the {place} crew" in asked.words]
        return found[0] if found and "north plant" in asked.words else good

    done, runs, _ = served(finished, tmp_path, script, "judge.criteria=[groundedness]")
    reasons = {(row.arm, row.question_id): row.reason for row in stored(runs, Score, "judge") if row.value is None}
    assert set(reasons) == {(arm, f"n{number}") for arm in ("base", "rag") for number in range(1, 7)}
    for number, (_, why) in enumerate(bad.values(), start=1):
        reason = reasons["base", f"n{number}"]
        assert reason.startswith("grader: ")
        assert why.replace("4, 3, 2, 1", "5, 4, 3, 2, 1") in reason
    assert done.report is not None
    assert done.report.judge is not None
    base = done.report.judge.criteria[0].arms[0]
    assert (base.mean.value, base.n_failed) == (0.75, 6)
    assert base.failed_as_wrong.value == pytest.approx(0.75 / 2)
    classes = {count.kind: count.n for count in done.report.judge.criteria[0].failures[0]}
    assert (classes["parse or system failure"], classes["right"]) == (6, 6)


def test_a_judge_that_hangs_or_is_too_busy_costs_its_items_alone(finished: Finished, tmp_path: Path) -> None:
    def script(asked: Asked) -> Reply:
        if "north plant" in asked.words and "the boiler crew" in asked.words:
            return Reply(hang=True)
        if "north plant" in asked.words and "the gauge crew" in asked.words:
            return failure(429, "slow down")
        return answer('{"rating": 4}')

    done, runs, _ = served(finished, tmp_path, script, "judge.criteria=[groundedness]", timeout_s=0.5)
    reasons = {(row.arm, row.question_id): row.reason for row in stored(runs, Score, "judge") if row.value is None}
    assert set(reasons) == {(arm, question) for arm in ("base", "rag") for question in ("n1", "n6")}
    assert "no whole reply within 0.5 s" in reasons["base", "n1"]
    assert "429" in reasons["base", "n6"]
    assert done.report is not None


def test_a_jury_with_repeats_is_one_line_of_a_study(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    rates = {"kind": 4, "strict": 2, "torn": 3}

    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/models"):
            return listing(*rates, max_model_len=8192)
        return answer(json.dumps({"rating": rates[asked.body["model"]]}))

    with OpenAIServer(script) as server:
        judges = [{"endpoint": {"urls": [server.url], "model": name}} for name in rates]
        whole = {"judges": judges, "repeats": 5, "criteria": ["correctness"]}
        done = run(finished.study, runs, ARMS, f"judge={json.dumps(whole)}")
    rows = [row for n in (1, 2, 3) for row in stored(runs, Judgement, f"judge-{n}-correctness")]
    assert len(rows) == 3 * 5 * 24
    assert done.report is not None
    assert done.report.judge is not None
    (shown,) = done.report.judge.criteria
    assert shown.arms[0].mean.value == pytest.approx((1 + 0 + 0.5) / 3)
    assert shown.agreement.spread == 0
    assert shown.agreement.alpha is not None
    assert shown.agreement.alpha <= 0


def test_guidelines_are_written_once_and_shown_to_the_judge(finished: Finished, tmp_path: Path) -> None:
    def script(asked: Asked) -> Reply:
        return answer("Names the interval." if "Guideline:" in asked.words[-11:] else '{"rating": 5}')

    done, runs, asked = served(finished, tmp_path, script, "judge.criteria=[guideline accuracy]")
    guidelines = stored(runs, Guideline, "rubric")
    assert [one.text for one in guidelines] == ["Names the interval."] * 12
    assert any("Guideline:\n| Names the interval." in one.words for one in asked)
    assert done.report is not None
    assert done.report.judge is not None
    assert set(done.report.judge.guidelines.values()) == {"Names the interval."}


def test_in_a_debate_each_judge_hears_the_others_once_and_the_second_rating_counts(
    finished: Finished, tmp_path: Path
) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")

    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/models"):
            return listing("one", "two", max_model_len=8192)
        heard = "Ratings of other judges:\n| Judge 1 gives" in asked.words
        return answer(json.dumps({"rating": 3 if heard else {"one": 4, "two": 2}[asked.body["model"]]}))

    with OpenAIServer(script) as server:
        judges = [{"endpoint": {"urls": [server.url], "model": name}} for name in ("one", "two")]
        whole = {"judges": judges, "debate": True, "criteria": ["correctness"]}
        done = run(finished.study, runs, ARMS, f"judge={json.dumps(whole)}")
    assert {row.value for row in stored(runs, Judgement, "judge-2-correctness")} == {0.0}
    assert {(row.repeat, row.value) for row in stored(runs, Judgement, "judge-2-correctness-debate")} == {(1, 0.5)}
    assert done.report is not None
    assert done.report.judge is not None
    assert done.report.judge.criteria[0].arms[0].mean.value == 0.5


def test_guided_replies_are_asked_for_with_the_schema(finished: Finished, tmp_path: Path) -> None:
    _, _, asked = served(
        finished, tmp_path, lambda _: answer('{"reason": "r", "rating": 4}'), "judge.guided=true",
        "judge.criteria=[correctness]",
    )  # fmt: skip
    schemas = [one.body["response_format"]["json_schema"]["schema"] for one in asked if one.body]
    assert schemas
    assert all(schema["required"] == ["reason", "rating"] for schema in schemas)


def test_an_answer_too_long_for_the_judge_fails_by_itself(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    study = load_study(finished.study, JUDGED)
    assert study.judge is not None
    rubric = RUBRICS["correctness"]
    with Store.open(runs) as store:
        context = ScriptedContext(study=study, store=store, reporter=Told(), cache=runs / "cache")
        judge = Bench(context, study.judge).open(0)
        items = [
            make_item("a"),
            make_item("b", answer="x" * 100_000),
            make_item("c", answer="每四小时检查一次 каждые 4 часа"),
        ]
        short, long, other_script = judge_items(judge, rubric, items)
    assert short.value is not None
    assert other_script.value is not None
    assert long.value is None
    assert long.failure is not None
    assert "limit" in long.failure


# Labels.


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["fourfold", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert isinstance(left.value.code, int)
    return left.value.code


def label(sheet: Path, say: Callable[[int, dict[str, str]], str], *, column: str = "correctness") -> Path:
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row[column] = say(number, row)
    done = sheet.with_name("filled.csv")
    with done.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return done


def test_a_sheet_is_drawn_filled_in_and_the_judge_measured_by_it(
    finished: Finished,
    judged: tuple[Path, Done, Told],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = shutil.copytree(judged[0], tmp_path / "runs")
    sheet = tmp_path / "labels.csv"
    options = ("--runs", runs, *JUDGED, "judge.pairwise=true")
    assert call(monkeypatch, "judge", "sample", finished.study, *options, "--questions", 10, "--out", sheet) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(sheet)
    assert "20 answers, 10 of each of 2 arms" in told.err
    assert "correctness: 4 full; 3 partial; 2 wrong; 1 refusal" in told.err
    done = label(sheet, lambda number, _: "full" if number % 2 else "wrong")
    # The judge's scores are there already; the tiny model is not asked again.
    assert call(monkeypatch, "judge", "calibrate", finished.study, done, *options) == 0
    out = capsys.readouterr().out
    assert "correctness: not relied on: the lower bound of kappa is" in out
    assert "20 labels, 0 more on which the judge failed" in out
    assert "groundedness: not relied on: not calibrated on labels of this study" in out
    assert "as people would say 0." in out
    with Store.open(runs) as store:
        settings, content = store.connection.execute(
            "SELECT settings, summary FROM results WHERE stage = 'judge-calibration'"
        ).fetchone()
    identity = json.loads(settings)
    assert set(identity["judges"][0]) == {"weights", "quantisation", "dtype"}
    assert len(identity["prompts"]) == 64
    assert json.loads(content)["content"]["judge"] == identity


def test_a_judge_that_agrees_with_people_on_every_arm_is_relied_on(finished: Finished, tmp_path: Path) -> None:
    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/models"):
            return listing("grader", max_model_len=8192)
        return answer(json.dumps({"rating": 5 if "north plant" in asked.words else 1}))

    def say(row: dict[str, str]) -> str:
        return "5" if "north plant" in row["passage"] else "nothing is"

    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    with OpenAIServer(script) as server:
        judges = json.dumps([{"endpoint": {"urls": [server.url], "model": "grader"}}])
        own = (ARMS, f"judge.judges={judges}", "judge.criteria=[groundedness]")
        run(finished.study, runs, *own)
        sheet = tmp_path / "labels.csv"
        write_sample(
            load_study(finished.study, own), runs, cache=tmp_path, reporter=Told(), n_questions=12, seed=0, out=sheet
        )
        filled = label(sheet, lambda _, row: say(row), column="groundedness")
        told = Told()
        done = run(finished.study, runs, *own, f"judge.labels={filled}", reporter=told)
    assert told.begun == ["judge-calibration", "report"]
    assert done.report is not None
    assert done.report.judge is not None
    (shown,) = done.report.judge.criteria
    assert shown.standing.words == "relied on"
    assert shown.calibration is not None
    assert (shown.calibration.n_labels, shown.calibration.kappa.value) == (24, 1.0)
    assert [arm.corrected is not None for arm in shown.arms] == [True, True]
    assert not any("not relied on" in caveat for caveat in done.report.caveats)
    assert "groundedness: relied on" in render_html(done.report)


def test_a_sheet_with_labels_is_not_written_over(
    finished: Finished, judged: tuple[Path, Done, Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    runs = shutil.copytree(judged[0], tmp_path / "runs")
    sheet = tmp_path / "labels.csv"
    options = (finished.study, "--runs", runs, *JUDGED)
    assert call(monkeypatch, "judge", "sample", *options, "--out", sheet) == 0
    shutil.copy(label(sheet, lambda *_: "full"), sheet)
    assert call(monkeypatch, "judge", "sample", *options, "--out", sheet) == 2
    assert "would be written over" in capsys.readouterr().err


def test_labels_of_answers_that_the_study_does_not_have_are_refused(
    finished: Finished, judged: tuple[Path, Done, Told], tmp_path: Path
) -> None:
    runs = shutil.copytree(judged[0], tmp_path / "runs")
    sheet = tmp_path / "labels.csv"
    sheet.write_text("row,correctness\nffffffffffff,full\n", encoding="utf-8")
    with pytest.raises(QuestionError, match="no answer of this study has the id 'ffffffffffff'"):
        run(finished.study, runs, *JUDGED, f"judge.labels={sheet}")


def test_without_a_judge_or_answers_the_commands_say_what_to_do(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "judge", "sample", finished.study, "--runs", finished.runs) == 2
    assert "the study has no judge" in capsys.readouterr().err
    assert call(monkeypatch, "judge", "sample", finished.study, "--runs", tmp_path / "none", *JUDGED) == 2
    assert "fourfold answer STUDY" in capsys.readouterr().err


# Settings.


def errors_of(finished: Finished, *overrides: str) -> str:
    with pytest.raises(StudyError) as caught:
        load_study(finished.study, overrides)
    return str(caught.value)


def test_mistakes_in_the_group_are_told(finished: Finished) -> None:
    assert "unknown setting" in errors_of(finished, "judge.judge=x")
    assert "did you mean 'quantisation'" in errors_of(finished, "judge.judges=[{quantization: none}]")
    assert "names a judge twice" in errors_of(finished, "judge.judges=[{}, {}]")
    assert "names a criterion twice" in errors_of(finished, "judge.criteria=[relevance, relevance]")
    assert "judge.judges" in errors_of(finished, "judge.judges=[]")


def test_paths_of_the_group_are_relative_to_the_study_file(finished: Finished) -> None:
    found = load_study(finished.study, [*JUDGED, "judge.labels=labels.csv", "judge.guidelines=g.csv"])
    assert found.judge is not None
    assert found.judge.labels == finished.study.parent / "labels.csv"
    assert found.judge.guidelines == finished.study.parent / "g.csv"
    assert found.judge.judges == (ModelSettings(id=str(finished.study.parent / "model"), dtype="float32"),)


def test_an_empty_group_is_the_default_profile(finished: Finished) -> None:
    found: StudySettings = load_study(finished.study, ["judge={}"])
    assert found.judge is not None
    assert found.judge.criteria == ("correctness", "groundedness")
    assert (found.judge.repeats, len(found.judge.judges)) == (1, 1)


def test_zero_answers_to_judge_are_no_judgements(finished: Finished, tmp_path: Path) -> None:
    runs = shutil.copytree(finished.runs, tmp_path / "runs")
    # No prompt leaves room for its answer, so that every arm fails on every question.
    done = run(finished.study, runs, *JUDGED, "answer.max_tokens=100000")
    assert done.report is not None
    assert done.report.judge is not None
    for shown in done.report.judge.criteria:
        assert [(arm.mean.value, arm.n_failed) for arm in shown.arms] == [(None, 12), (None, 12)]
        assert not shown.standing.relied_on
    answers: Sequence[Answer] = stored(runs, Answer, "answer")
    assert any(one.text is None for one in answers)
