from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fourfold.errors import StoreError
from fourfold.store import SCHEMA_VERSION, Draft, Store, no_space
from fourfold.types import Score


def score(value: float, question: str = "q") -> Score:
    return Score(arm="base", tuning_seed=None, question_id=question, metric="m", value=value, reason=None)


def draft(key: str = "k", **changes: object) -> Draft:
    usual: dict[str, object] = {
        "key": key, "stage": "score", "settings": {"a": 1}, "inputs": {"x": "y"}, "content": {"c": 1},
        "summary": {"n": 2}, "provenance": {"v": "1"}, "seconds": 1.5,
    }  # fmt: skip
    return Draft(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "runs") as opened:
        yield opened


def refused(folder: Path) -> StoreError:
    with pytest.raises(StoreError) as error:
        Store.open(folder)
    for part in (error.value.what, error.value.seen, error.value.expected, error.value.hint):
        assert str(part).strip()
    return error.value


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_result_is_found_as_it_was_put(store: Store) -> None:
    put = store.put(draft(), [score(1.0), score(0.0)])
    assert store.find("k") == put
    assert (put.stage, put.seconds, put.provenance) == ("score", 1.5, {"v": "1"})
    assert put.summary == {"n": 2, "content": {"c": 1}}
    assert store.find("none") is None


def test_what_is_stored_is_there_after_closing(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        put = store.put(draft(), [score(1.0)])
    with Store.open(tmp_path) as store:
        assert store.find("k") == put
        assert store.read(Score, "k") == (score(1.0),)


def test_a_result_that_was_made_again_with_the_same_rows_stays_as_it_is(store: Store) -> None:
    first = store.put(draft(), [score(1.0)])
    assert store.put(draft(seconds=9.0), [score(1.0)]) == first


def test_a_result_that_was_made_again_with_other_rows_replaces_the_first(store: Store) -> None:
    first = store.put(draft(), [score(1.0), score(0.5)])
    second = store.put(draft(content={"c": 2}), [score(0.0)])
    assert second.digest != first.digest
    assert store.find(first.key) == second
    assert store.read(Score, first.key) == (score(0.0),)


def test_a_results_digest_depends_on_stage_rows_and_content_only(store: Store) -> None:
    digest = store.put(draft(), [score(1.0)]).digest
    same = draft("k2", seconds=7.0, summary={"n": 9}, provenance={"v": "2"}, settings={}, inputs={})
    assert store.put(same, [score(1.0)]).digest == digest
    others = [
        store.put(draft("k3"), [score(0.9)]),
        store.put(draft("k4"), []),
        store.put(draft("k5", content={"c": 2}), [score(1.0)]),
        store.put(draft("k6", stage="answer"), [score(1.0)]),
    ]
    assert digest not in {other.digest for other in others}


def test_a_result_whose_rows_fail_is_not_there_at_all(store: Store) -> None:
    store.put(draft("before"), [score(1.0)])
    with pytest.raises(TypeError, match="dataclass"):
        store.put(draft(), [score(1.0), {"not": "a record"}])
    assert store.find("k") is None
    assert store.read(Score, "k") == ()
    assert store.read(Score, "before") == (score(1.0),)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(
    store: Store, error: type[BaseException]
) -> None:
    def interrupted() -> None:
        with store.transaction() as db:
            db.execute("INSERT INTO frozen VALUES ('a', '{}', '')")
            raise error

    with pytest.raises(error):
        interrupted()
    assert store.connection.execute("SELECT * FROM frozen").fetchall() == []
    assert store.freeze("a", {"margin": 1}) == {"margin": 1}


def test_a_killed_process_leaves_whole_results_only(tmp_path: Path) -> None:
    code = f"""
import os, pathlib
from fourfold.store import Store
store = Store.open(pathlib.Path({str(tmp_path)!r}))
store.freeze("whole", {{}})
with store.transaction() as db:
    db.execute("INSERT INTO frozen VALUES ('half', '{{}}', '')")
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    with Store.open(tmp_path) as store:
        assert store.connection.execute("SELECT scope FROM frozen").fetchall() == [("whole",)]


def test_the_first_frozen_rule_holds(store: Store) -> None:
    assert store.freeze("a", {"margin": 0.05}) == {"margin": 0.05}
    assert store.freeze("a", {"margin": 0.01}) == {"margin": 0.05}
    assert store.freeze("b", {"margin": 0.01}) == {"margin": 0.01}


def test_every_run_is_recorded_that_is_not_the_newest_again(store: Store) -> None:
    for settings in ({"a": 1}, {"a": 2}, {"a": 1}):
        store.record_run("study", settings, {"answer": "k"})
        store.record_run("study", settings, {"answer": "k"})
    found = store.connection.execute("SELECT study, settings, results FROM runs").fetchall()
    assert found == [("study", f'{{"a": {a}}}', '{"answer": "k"}') for a in (1, 2, 1)]


def other_version(path: Path) -> None:
    with Store.open(path.parent) as store:
        store.connection.execute("UPDATE meta SET value = ?", (str(SCHEMA_VERSION + 1),))
        store.connection.execute("PRAGMA journal_mode = DELETE")


def other_program(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE meta (key, value)")
    db.execute(f"INSERT INTO meta VALUES ('schema_version', '{SCHEMA_VERSION}')")
    db.commit()
    db.close()


def no_database(path: Path) -> None:
    path.write_bytes(b"This is a letter, not a database. " * 40)


def cut_short(path: Path) -> None:
    with Store.open(path.parent):
        pass
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize("make", [other_version, other_program, no_database, cut_short])
def test_a_file_that_is_not_this_versions_is_refused_and_left_as_it_is(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "store.db")
    before = files_of(tmp_path)
    error = refused(tmp_path)
    assert str(tmp_path) in str(error.seen)
    assert files_of(tmp_path) == before


def test_another_version_is_named(tmp_path: Path) -> None:
    other_version(tmp_path / "store.db")
    error = refused(tmp_path)
    assert f"version {SCHEMA_VERSION + 1}" in str(error.seen)
    assert f"version {SCHEMA_VERSION}," in error.expected


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    with Store.open(tmp_path) as store:
        store.put(draft(), [score(1.0)])


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "runs" / "store.db").mkdir(parents=True)
    assert "cannot be opened" in refused(tmp_path / "file").what
    assert "cannot be opened" in refused(tmp_path / "file" / "runs").what
    assert "cannot be opened" in refused(tmp_path / "runs").what


def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    tmp_path.chmod(0o500)
    try:
        assert "cannot be opened" in refused(tmp_path / "runs").what
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_an_error_with_a_way_out_and_earlier_results_stay(store: Store) -> None:
    store.put(draft("before"), [score(1.0)])
    (n_pages,) = store.connection.execute("PRAGMA page_count").fetchone()
    store.connection.execute(f"PRAGMA max_page_count = {n_pages + 2}")
    with pytest.raises(StoreError, match="no space left") as error:
        store.put(draft(), [score(1.0, "x" * 1000) for _ in range(100)])
    assert "database or disk is full" in str(error.value.seen)
    assert str(store.folder) in str(error.value.seen)
    assert store.find("k") is None
    assert store.read(Score, "k") == ()
    assert store.read(Score, "before") == (score(1.0),)
    store.connection.execute("PRAGMA max_page_count = 100000")
    store.put(draft(), [score(1.0, "x" * 1000) for _ in range(100)])
    assert len(store.read(Score, "k")) == 100


def test_a_file_held_by_another_run_is_an_error_with_a_way_out(store: Store) -> None:
    store.connection.execute("PRAGMA busy_timeout = 0")
    with Store.open(store.folder) as other, other.transaction():
        with pytest.raises(StoreError, match="cannot be written") as error:
            store.put(draft(), [])
        assert "locked" in str(error.value.seen)
    store.put(draft(), [])


def test_a_file_that_may_only_be_read_is_an_error_with_a_way_out(store: Store) -> None:
    store.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="cannot be written"):
        store.put(draft(), [])


def test_a_mistake_in_our_own_statement_is_not_called_a_full_disk(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table: full"), store.transaction() as db:
        db.execute("SELECT * FROM full")


def test_reading_goes_on_while_another_writes(store: Store) -> None:
    store.put(draft(), [score(1.0)])
    with Store.open(store.folder) as other, other.transaction() as db:
        db.execute("DELETE FROM scores")
        assert store.read(Score, "k") == (score(1.0),)


def test_blobs_are_kept_apart_by_stage_and_key(store: Store) -> None:
    folder = store.blob_folder("tune", "a" * 64)
    assert folder == store.folder / "blobs" / f"tune-{'a' * 16}"
    assert folder.parent.is_dir()


def test_no_space_says_what_to_do(tmp_path: Path) -> None:
    assert "what is finished is kept" in no_space(tmp_path, "x").hint
