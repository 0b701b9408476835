"""Two finished studies of one working folder, read from its store and compared; carries out and writes nothing."""

from __future__ import annotations

import difflib
import shlex
from pathlib import Path

from fourfold.app.context import Context
from fourfold.app.dashboard.results import open_to_read
from fourfold.app.pipeline import missing_stages
from fourfold.app.progress import Reporter
from fourfold.app.stages import STAGES
from fourfold.errors import FourfoldError, StoreError, StudyError, raise_all
from fourfold.evals.report.comparison import StudyComparison, StudySide, compare_studies
from fourfold.store import Store
from fourfold.study_file import load_study
from fourfold.types import Score

# The report is drawn from the others, and nothing of it is compared.
_FINISHED = tuple(stage for stage in STAGES if stage.name != "report")


def compare_finished(a: str, b: str, runs: Path, *, cache: Path) -> StudyComparison:
    """Compare two studies; the store is opened to read, so that a run may go on beside it.

    Args:
        a: the name of a study in the working folder, or the path of a study file.
        b: the other, alike.
        runs: the working folder.
        cache: folder for converted weights.

    Raises:
        StoreError: no store there, or a study that is not finished with its settings as they stand.
        StudyError: no study of that name and no such file, or a file that is wrong.
        FairnessError: their test questions differ.
    """
    sides: list[StudySide] = []
    problems: dict[str, FourfoldError] = {}
    with open_to_read(runs) as store:
        for argument in (a, b):
            try:
                sides.append(_read(argument, store, cache))
            except FourfoldError as error:
                problems.setdefault(str(error), error)
    raise_all(list(problems.values()))
    return compare_studies(*sides)


def find_study(argument: str, runs: Path) -> Path:
    """The study file that an argument means: `<runs>/<name>/study.yaml` for a name, which goes first, else the path.

    Raises:
        StudyError: neither is there.
    """
    # A plain name: '..' or a path would lead out of the working folder.
    if Path(argument).name == argument != ".." and (named := runs / argument / "study.yaml").is_file():
        return named
    if Path(argument).is_file():
        return Path(argument)
    names = sorted(path.parent.name for path in runs.glob("*/study.yaml"))
    near = difflib.get_close_matches(argument, names, n=1)
    raise StudyError(
        "no such study",
        seen=argument,
        expected=f"the path of a study file, or the name of a study in {runs} ({', '.join(names) or 'there is none'})",
        hint=f"did you mean {near[0]}?" if near else "correct the name, or name another working folder with --runs",
    )


def _read(argument: str, store: Store, cache: Path) -> StudySide:
    path = find_study(argument, store.folder)
    study = load_study(path)
    context = Context(study=study, store=store, reporter=Reporter(quiet=True), cache=cache)
    if missing := missing_stages(context, _FINISHED):
        raise StoreError(
            f"study {study.name} is not finished",
            seen=f"not carried out with the settings of {path}: {', '.join(missing)}",
            expected="the results of every stage in the working folder",
            hint=f"run it first: {shlex.join(['fourfold', 'run', str(path), '--runs', str(store.folder)])}",
        )
    return StudySide(
        label=study.name if argument == study.name else f"{study.name} ({argument})",
        study=study,
        model=context.model_identity,
        questions=context.questions("test"),
        scores=store.read(Score, context.results["score"].key),
    )
