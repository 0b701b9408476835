"""Carrying out a study, wholly or up to a stage, and writing its results folder."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.pipeline import missing_stages, run_stages
from fourfold.app.progress import Reporter
from fourfold.app.stages import STAGES
from fourfold.app.stages.report import make_report
from fourfold.errors import StoreError
from fourfold.evals.report.data import Report
from fourfold.evals.report.html import render_html
from fourfold.evals.report.items_table import render_csv, render_parquet
from fourfold.evals.report.markdown import render_markdown
from fourfold.store import Store, no_space
from fourfold.study import StudySettings
from fourfold.study_file import dump_study


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a run gave. `report` is None where it stopped before the report."""

    n_stages_run: int
    report: Report | None
    folder: Path


def run_study(study: StudySettings, runs: Path, *, cache: Path, reporter: Reporter, upto: str = "report") -> Done:
    """Carry out what is not in the store yet, up to a stage.

    Args:
        study: the resolved study.
        runs: the working folder.
        cache: folder for converted weights.
        reporter: told what is going on.
        upto: the last stage.

    Raises:
        FourfoldError: see the stages.
    """
    with Store.open(runs) as store, lock(runs):
        context = Context(study=study, store=store, reporter=reporter, cache=cache)
        with closing(context):
            return carry_out(context, upto=upto)


def carry_out(context: Context, *, upto: str = "report") -> Done:
    """Carry out a study on an open store; see `run_study`."""
    study, store = context.study, context.store
    names = [stage.name for stage in STAGES]
    folder = write_files(store.folder / study.name, {"study.yaml": dump_study(study)})
    n_run = run_stages(context, STAGES[: names.index(upto) + 1])
    if upto != "report":
        return Done(n_stages_run=n_run, report=None, folder=folder)
    report = make_report(context)
    _write_report(folder, report)
    keys = {name: result.key for name, result in context.results.items()}
    store.record_run(study.name, study.model_dump(mode="json"), keys)
    return Done(n_stages_run=n_run, report=report, folder=folder)


def read_report(study: StudySettings, runs: Path, *, cache: Path, reporter: Reporter) -> Done:
    """Draw the report of a study that was carried out before; carries out nothing expensive.

    Raises:
        StoreError: a stage before the report has not been carried out with these settings.
    """
    with Store.open(runs) as store, lock(runs):
        context = Context(study=study, store=store, reporter=reporter, cache=cache)
        missing = missing_stages(context, [stage for stage in STAGES if stage.name not in {"score", "report"}])
        if missing:
            raise StoreError(
                "there is nothing to report yet",
                seen=f"not carried out with these settings: {', '.join(missing)}",
                expected="the results of every stage in the working folder",
                hint="run the study first: fourfold run STUDY",
            )
    return run_study(study, runs, cache=cache, reporter=reporter)


def _write_report(folder: Path, report: Report) -> None:
    """Write the files, unless they are those of this very report already: plots take a second or two."""
    there = all((folder / name).is_file() for name in _FILES)
    if not there or (folder / "report.json").read_text(encoding="utf-8") != _as_json(report):
        # The one that is compared with goes last: a killed run leaves no new one beside old others.
        write_files(folder, {name: render(report) for name, render in reversed(_FILES.items())})


def _as_json(report: Report) -> str:
    return json.dumps(dataclasses.asdict(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


_FILES: dict[str, Callable[[Report], str | bytes]] = {
    "report.json": _as_json,
    "report.html": render_html,
    "report.md": render_markdown,
    "items.csv": render_csv,
    "items.parquet": render_parquet,
}


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files by name, each whole or not at all, into a folder made where there is none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            scratch = folder / f".{name}.new"
            scratch.write_bytes(text.encode() if isinstance(text, str) else text)
            scratch.replace(folder / name)
    except OSError as error:
        raise no_space(folder, str(error)) from error
    return folder


@contextmanager
def lock(runs: Path) -> Iterator[None]:
    """One run at a time per working folder: two would tune the same adapter twice."""
    with (runs / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                "another run is using this working folder",
                seen=runs,
                expected="one run at a time",
                hint="wait for it to end, or name another folder with --runs",
            ) from None
        yield


def default_cache(environment: Mapping[str, str]) -> Path:
    """Where converted weights are kept: $XDG_CACHE_HOME/fourfold, else ~/.cache/fourfold."""
    base = environment.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fourfold" / "models"


def send_no_statistics() -> None:
    """Tell libraries to send no usage statistics; they look once, when they load."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("RAGAS_DO_NOT_TRACK", "true")
