"""Two finished studies of one working folder, compared by name and by file: nothing is computed or changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import pytest
from support.scripted import run_scripted

from fourfold.app import cli
from fourfold.app.compare import compare_finished, find_study
from fourfold.errors import InputError, StudyError
from fourfold.evals.report.comparison import StudyComparison
from fourfold.store import Store
from fourfold.study_file import load_study
from fourfold.types import Score

if TYPE_CHECKING:
    from app.conftest import Finished

CHANGES = ["name=other", "index.chunk_tokens=64", "model.quantisation=none", "answer.arms=[base, rag]"]


@dataclass(frozen=True)
class Two:
    study: Path
    runs: Path


@pytest.fixture(scope="module")
def two(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Two:
    """The finished study with a second one of other settings beside it; the second has no tuned arm."""
    runs = shutil.copytree(finished.runs, tmp_path_factory.mktemp("two") / "runs")
    run_scripted(finished.study, runs, overrides=CHANGES)
    return Two(finished.study, runs)


def compare(two: Two, a: object, b: object) -> StudyComparison:
    return compare_finished(str(a), str(b), two.runs, cache=two.runs / "cache")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["fourfold", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert isinstance(left.value.code, int)
    return left.value.code


def require_four_parts(told: str) -> None:
    assert "Traceback" not in told
    for part in ("fourfold: ", "seen:", "expected:", "do next:"):
        assert part in told


def scores_of(runs: Path, study: str) -> dict[tuple[str, str], dict[str, float]]:
    """The scores of a study's newest run, by arm and metric, read with plain SQL for the key."""
    with Store.open(runs) as store:
        (keys,) = store.connection.execute(
            "SELECT results FROM runs WHERE study = ? ORDER BY run DESC LIMIT 1", (study,)
        ).fetchone()
        scores = store.read(Score, json.loads(keys)["score"])
    table: dict[tuple[str, str], dict[str, float]] = {}
    for score in scores:
        assert score.value is not None
        table.setdefault((score.arm, score.metric), {})[score.question_id] = score.value
    return table


def test_every_figure_is_the_plain_mean_of_the_rows_in_the_store(two: Two) -> None:
    comparison = compare(two, "tiny", "other")
    a, b = scores_of(two.runs, "tiny"), scores_of(two.runs, "other")
    assert comparison.n_questions == 12
    for row in comparison.rows:
        arm = "rag" if row.arm == "(retrieval)" else row.arm
        of_a, of_b = a[arm, row.metric], b[arm, row.metric]
        assert row.a.value == pytest.approx(fmean(of_a.values()))
        assert row.b.value == pytest.approx(fmean(of_b.values()))
        assert row.difference.value == pytest.approx(fmean(of_a[q] - of_b[q] for q in of_a))
        assert row.difference.n == 12
    # The tiny model knows nothing, but smaller chunks are retrieved otherwise: not every difference is 0.
    assert any(row.difference.value for row in comparison.rows)


def test_what_one_study_lacks_is_listed_and_what_is_set_otherwise_is_told(two: Two) -> None:
    comparison = compare(two, "tiny", "other")
    assert {row.arm for row in comparison.rows} == {"base", "rag", "(retrieval)"}
    assert set(comparison.only_a.arms) == {"base n-shot", "rag n-shot", "tuned", "tuned + rag"}
    assert comparison.only_b.arms == comparison.only_a.metrics == comparison.only_b.metrics == ()
    found = {setting.key: (setting.a, setting.b) for setting in comparison.settings}
    assert found.pop("answer.arms")[1] == ["base", "rag"]
    assert found == {"index.chunk_tokens": (96, 64), "model.quantisation": ("nf4", "none")}
    assert [part.key for part in comparison.base_model] == ["quantisation"]


def test_the_same_study_twice_gives_zeros_with_a_standard_error_of_zero(two: Two) -> None:
    comparison = compare(two, "tiny", two.study)
    assert len({row.arm for row in comparison.rows}) == 7
    assert {(row.difference.value, row.difference.se, row.p.value) for row in comparison.rows} == {(0, 0, 1)}
    assert comparison.settings == comparison.base_model == ()
    assert (comparison.a, comparison.b) == ("tiny", f"tiny ({two.study})")


def test_a_comparison_changes_nothing_and_may_stand_beside_a_run(two: Two) -> None:
    import fcntl

    def state() -> dict[str, str]:
        files = [path for path in two.runs.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal"))]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    # A run holds the lock; there is none until the first run through the command line.
    with (two.runs / ".lock").open("w") as file:
        before = state()
        fcntl.flock(file, fcntl.LOCK_EX)
        compare(two, "tiny", "other")
    assert state() == before


def test_the_command_prints_a_table_or_json(
    two: Two, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "tiny", "other", "--runs", two.runs) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    for part in ("A = tiny, B = other", "index.chunk_tokens: A 96 | B 64", "the base model differs", "key fact recall"):
        assert part in shown.out
    assert call(monkeypatch, "tiny", "other", "--runs", two.runs, "--json") == 0
    held = json.loads(capsys.readouterr().out)
    assert {row["arm"] for row in held["rows"]} == {"base", "rag", "(retrieval)"}
    assert call(monkeypatch, "--help") == 0
    assert "study_a" in capsys.readouterr().out.lower()


def test_names_that_are_not_there_are_told_together_with_those_that_are(
    two: Two, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "tinny", "nothing", "--runs", two.runs) == 2
    told = capsys.readouterr().err
    require_four_parts(told)
    for part in ("2 things are wrong", "tinny", "nothing", "(other, tiny)", "did you mean tiny?"):
        assert part in told


def test_a_folder_without_results_is_refused_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "tiny", "other", "--runs", tmp_path / "runs") == 2
    require_four_parts(capsys.readouterr().err)
    assert not (tmp_path / "runs").exists()


def test_an_unfinished_study_names_what_is_missing_and_the_command_to_run(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "my study.yaml"
    text = (two.runs / "other" / "study.yaml").read_text(encoding="utf-8")
    assert "max_tokens: 8" in text
    study.write_text(text.replace("max_tokens: 8", "max_tokens: 9"), encoding="utf-8")
    assert load_study(study).answer.max_tokens == 9
    assert call(monkeypatch, "tiny", study, "--runs", two.runs) == 2
    told = capsys.readouterr().err
    require_four_parts(told)
    assert "study other is not finished" in told
    assert told.count("answer, score\n") == 1
    assert f"fourfold run '{study}' --runs {two.runs}" in told


def test_studies_with_other_test_questions_are_refused(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) for line in (two.study.parent / "questions.jsonl").read_text("utf-8").splitlines()]
    rows[0]["reference"] = "every 5 hours"
    file = tmp_path / "changed.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]), encoding="utf-8")
    runs = shutil.copytree(two.runs, tmp_path / "runs")
    run_scripted(two.study, runs, overrides=["name=changed", f"questions.file={file}", "answer.arms=[base]"])
    assert call(monkeypatch, "tiny", "changed", "--runs", runs) == 2
    told = capsys.readouterr().err
    require_four_parts(told)
    assert "2 of 12 differ, 'n1' with the reference 'every 4 hours' in A and 'every 5 hours' in B among them" in told


def test_a_name_goes_before_a_file_and_never_leads_out_of_the_folder(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny").write_text("a file of that name", encoding="utf-8")
    assert find_study("tiny", two.runs) == two.runs / "tiny" / "study.yaml"
    assert find_study("./tiny", two.runs) == Path("./tiny")
    shutil.copy(two.study, two.runs.parent / "study.yaml")
    for argument in ("..", ".", "other/../tiny", str(two.runs / "tiny")):
        with pytest.raises(StudyError, match="no such study"):
            find_study(argument, two.runs)


def test_a_store_of_another_version_is_refused(two: Two, tmp_path: Path) -> None:
    runs = shutil.copytree(two.runs, tmp_path / "runs")
    with Store.open(runs) as store:
        store.connection.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
    with pytest.raises(InputError, match="version 0"):
        compare_finished("tiny", "other", runs, cache=runs / "cache")
