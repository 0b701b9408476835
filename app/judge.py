"""`fourfold judge`: a sheet for people to label, and how far the judge agrees with it.

Heavy imports stay inside the commands, so that --help is quick.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fourfold.evals.judge.calibration import Calibration
    from fourfold.evals.report.judge_data import JudgeSection

judge = typer.Typer(
    help="Label answers by hand, and see how far the judge may be believed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Study = Annotated[Path, typer.Argument(help="study file (YAML) with a group 'judge'", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="settings to change, as section.key=value", show_default=False)
]
Runs = Annotated[Path, typer.Option(help="working folder of results, shared by studies")]


@judge.command()
def sample(
    study: Study,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    questions: Annotated[int, typer.Option(help="questions to draw; every arm's answer to each is a row", min=1)] = 40,
    seed: Annotated[int, typer.Option(help="which questions, and the order of the rows", min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="sheet to write; else labels.csv in the study's results")] = None,
) -> None:
    """Write a blind sheet of this study's answers, as many of each arm, to label by hand (judge.labels reads it)."""
    from fourfold.app.labels import write_sample
    from fourfold.app.progress import Reporter
    from fourfold.app.run import default_cache, send_no_statistics
    from fourfold.evals.judge.sheet import how_to_label
    from fourfold.study_file import load_study

    send_no_statistics()
    settings = load_study(study, overrides or [])
    written = write_sample(
        settings, runs, cache=default_cache(os.environ), reporter=Reporter(quiet=True),
        n_questions=questions, seed=seed, out=out,
    )  # fmt: skip
    _tell(f"{written.n_rows} answers, {written.n_rows // written.n_arms} of each of {written.n_arms} arms. Labels:")
    _tell(how_to_label(written.criteria))
    _tell("leave a cell empty where you cannot tell; then: fourfold judge calibrate STUDY SHEET")
    print(written.sheet)


@judge.command()
def calibrate(
    study: Study,
    labels: Annotated[Path, typer.Argument(help="the sheet, filled in", show_default=False)],
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress on stderr")] = False,
) -> None:
    """Compare the judge with a filled-in sheet; print agreement, kappa, errors by arm, and whether it is relied on."""
    from fourfold.app.labels import calibrate_study
    from fourfold.app.progress import Reporter
    from fourfold.app.run import default_cache, send_no_statistics
    from fourfold.study_file import load_study

    send_no_statistics()
    settings = load_study(study, [*(overrides or []), f"judge.labels={labels.resolve()}"])
    done = calibrate_study(settings, runs, cache=default_cache(os.environ), reporter=Reporter(quiet=quiet))
    print(render_calibration(done), end="")
    _tell(f"to have it in the study's report, set judge.labels: {labels}")


def render_calibration(section: JudgeSection) -> str:
    """What was found, as plain text."""
    lines = []
    for shown in section.criteria:
        lines += [f"{shown.criterion}: {shown.standing.words}"]
        if shown.calibration is not None:
            lines += [f"  {line}" for line in _lines(shown.calibration)]
    lines += list(section.notes)
    return "\n".join(lines) + "\n"


def _lines(found: Calibration) -> list[str]:
    from fourfold.evals.report.sentence import format_estimate

    both = found.confusion
    widest = found.widest
    return [
        f"{found.n_labels} labels, {found.n_judge_failed} more on which the judge failed",
        f"agreement  {format_estimate(found.agreement)}",
        f"kappa      {format_estimate(found.kappa)}",
        f"threshold  {found.threshold:.3f}: a score from which an answer is called right",
        f"right by both {both.both}, judge {both.judge_only}, person {both.person_only}, neither {both.neither}",
        *(
            f"{own.arm}: error {format_estimate(own.error)}, leans {format_estimate(own.lean, signed=True)}, "
            f"as people would say {format_estimate(own.corrected)}"
            for own in found.arms
        ),
        "difference of error between arms: "
        + (
            "not known, labels of one arm only"
            if widest is None
            else f"at most {format_estimate(widest.difference, signed=True)} ({widest.what}, {widest.a} − {widest.b})"
        ),
    ]


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
