"""What the dashboard shows, read from the store: nothing is carried out, loaded or written."""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fourfold.app.context import Context
from fourfold.app.progress import Reporter
from fourfold.app.stages.report import make_report
from fourfold.errors import StoreError
from fourfold.evals.report.data import Report
from fourfold.llm.weights import EMBEDDED_LANGUAGE_MODEL, Weights
from fourfold.store import SCHEMA_VERSION, Store
from fourfold.study import EMBEDDED, StudySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A study that was carried out to its report. `run` is its row in the store; `finished_at` is UTC, ISO 8601."""

    run: int
    study: str
    finished_at: str


def newest_runs(runs: Path) -> tuple[FinishedRun, ...]:
    """The newest finished run of every study of a working folder, the newest first.

    Raises:
        StoreError: the folder holds no store, one of another version, or no finished run.
    """
    with open_to_read(runs) as store:
        found = store.connection.execute(
            "SELECT max(run), study, finished_at FROM runs GROUP BY study ORDER BY max(run) DESC"
        ).fetchall()
    if not found:
        raise _nothing_finished(runs, "a store without a finished study")
    return tuple(FinishedRun(run=run, study=study, finished_at=at) for run, study, at in found)


def read_run(runs: Path, run: int) -> Report:
    """The report of one finished run, computed again from the rows that it was made of.

    Raises:
        StoreError: the run was made by another fourfold, or rows of it are gone.
    """
    with open_run(runs, run) as context:
        return make_report(context)


@contextmanager
def open_run(runs: Path, run: int) -> Iterator[Context]:
    """One finished run as the store recorded it, whose rows can be read and nothing be carried out.

    Raises:
        StoreError: the run was made by another fourfold, or rows of it are gone.
    """
    with open_to_read(runs) as store:
        row = store.connection.execute("SELECT settings, results FROM runs WHERE run = ?", (run,)).fetchone()
        if row is None:
            raise _nothing_finished(runs, f"no run {run}")
        settings, keys = json.loads(row[0]), json.loads(row[1])
        found = {name: store.find(key) for name, key in keys.items()}
        results = {name: result for name, result in found.items() if result is not None}
        if gone := sorted(found.keys() - results.keys()):
            raise _unreadable(runs, f"without the results of {', '.join(gone)}")
        try:
            study = StudySettings.model_validate(settings)
        except ValidationError as error:
            raise _unreadable(runs, f"{error.error_count()} setting(s) that this version does not know") from error
        yield _Recorded(study=study, store=store, reporter=Reporter(quiet=True), cache=runs, results=results)


class _Recorded(Context):
    """A run as the store recorded it; its model need not be there any more, only its name is told."""

    @functools.cached_property
    def weights(self) -> Weights:
        model = self.study.model.id
        is_folder = model.startswith(("/", ".", "~")) or Path(model).is_dir()
        name = EMBEDDED_LANGUAGE_MODEL if model == EMBEDDED else Path(model).name if is_folder else model
        return Weights(name=name, folder=self.cache, digest="")


class _ReadStore(Store):
    """A store that is only read: a verdict rule that is not frozen stays so."""

    def freeze(self, scope: str, rule: Mapping[str, Any]) -> Mapping[str, Any]:
        row = self.connection.execute("SELECT rule FROM frozen WHERE scope = ?", (scope,)).fetchone()
        held: Mapping[str, Any] = json.loads(row[0]) if row else rule
        return held


@contextmanager
def open_to_read(runs: Path) -> Iterator[Store]:
    """The store of a working folder, which nothing can change through it.

    Raises:
        StoreError: no store, one of another version, or one that cannot be read.
    """
    path = runs / "store.db"
    if not path.is_file():
        raise _nothing_finished(runs, "no store.db")
    connection = None
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        found = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        if found != (str(SCHEMA_VERSION),):
            raise _unreadable(runs, f"version {found[0] if found else 'unknown'}")
        yield _ReadStore(runs, connection)
    except sqlite3.Error as error:
        raise _unreadable(runs, str(error)) from error
    finally:
        if connection is not None:
            connection.close()


def _nothing_finished(runs: Path, seen: str) -> StoreError:
    return StoreError(
        "there are no results to show",
        seen=f"{runs}: {seen}",
        expected="a working folder with at least one finished study",
        hint="carry one out first, fourfold run STUDY, or name its folder with --runs",
    )


def _unreadable(runs: Path, seen: str) -> StoreError:
    return StoreError(
        "the results cannot be read",
        seen=f"{runs / 'store.db'}: {seen}",
        expected=f"a store of version {SCHEMA_VERSION} that this user can read, and its folder write",
        hint="run the study again with this fourfold, or name another folder with --runs",
    )
