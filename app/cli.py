"""The command line. Results go to stdout, everything else to stderr.

Exit codes: 0 done, 2 something to put right in the input, 1 a fault of ours or of the machine, 130 interrupted.
Heavy imports stay inside the commands, so that --help is quick.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from fourfold.app.export_adapter import adapter
from fourfold.app.judge import judge
from fourfold.errors import FourfoldError, raise_all

app = typer.Typer(
    help="Retrieve, fine-tune, both or neither: one fair experiment on your own PDFs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(judge, name="judge")
app.add_typer(adapter, name="adapter")

Study = Annotated[Path, typer.Argument(help="study file (YAML)", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="settings to change, as section.key=value", show_default=False)
]
Runs = Annotated[Path, typer.Option(help="working folder of results, shared by studies")]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress on stderr")]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="folder of PDFs", show_default=False)],
    out: Annotated[Path, typer.Option(help="study file to write")] = Path("study.yaml"),
) -> None:
    """Write a commented study file for a folder of PDFs."""
    from fourfold.app.init import write_study

    n_files = write_study(folder, out)
    _tell(f"{out}: a study of {n_files} PDF file(s); next: write its test questions, then fourfold check {out}")
    print(out)


@app.command()
def check(study: Study, overrides: Overrides = None, runs: Runs = Path("runs")) -> None:
    """Look at study, corpus, questions, models, disk and memory; tell all mistakes together."""
    from fourfold.app.check import check_study
    from fourfold.app.run import default_cache
    from fourfold.study_file import load_study

    findings = check_study(load_study(study, overrides or []), runs, cache=default_cache(os.environ))
    for finding in findings:
        print(f"{finding.what}: {finding.found if finding.problem is None else 'WRONG'}")
    raise_all([finding.problem for finding in findings if finding.problem is not None])


@app.command()
def run(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Carry out a study and print its report; what is already there is kept."""
    _carry_out(study, overrides, runs, quiet, "report")


@app.command()
def report(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = True) -> None:
    """Print the report of a study that was carried out, and write its files again."""
    from fourfold.app.progress import Reporter
    from fourfold.app.run import default_cache, read_report, send_no_statistics
    from fourfold.evals.report.terminal import render_terminal
    from fourfold.study_file import load_study

    send_no_statistics()
    done = read_report(
        load_study(study, overrides or []), runs, cache=default_cache(os.environ), reporter=Reporter(quiet=quiet)
    )
    assert done.report is not None
    print(render_terminal(done.report), end="")
    print(f"\nreport: {done.folder / 'report.html'}")


@app.command()
def ingest(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Carry out a study up to its documents' text."""
    _carry_out(study, overrides, runs, quiet, "ingest")


@app.command()
def questions(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Carry out a study up to its test and tuning questions."""
    _carry_out(study, overrides, runs, quiet, "questions")


@app.command()
def review(
    study: Study,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="sheet to write; else review.csv in the study's results")] = None,
) -> None:
    """Write a study's generated questions on a sheet, to accept, fix or drop by hand (questions.reviewed reads it)."""
    from fourfold.app.progress import Reporter
    from fourfold.app.review import write_review
    from fourfold.app.run import default_cache, send_no_statistics
    from fourfold.study_file import load_study

    send_no_statistics()
    settings = load_study(study, overrides or [])
    sheet, n_rows = write_review(
        settings, runs, cache=default_cache(os.environ), reporter=Reporter(quiet=True), out=out
    )
    _tell(f"{n_rows} generated question(s); fill in 'verdict', then name the sheet in questions.reviewed")
    print(sheet)


@app.command()
def export(
    study: Study,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="folder to write; else export in the study's results")] = None,
    licence: Annotated[str | None, typer.Option(help="licence of the documents' text, for the data card")] = None,
) -> None:
    """Write a study's questions as chat JSONL and SQuAD, with a data card."""
    from fourfold.app.progress import Reporter
    from fourfold.app.review import write_export
    from fourfold.app.run import default_cache, send_no_statistics
    from fourfold.study_file import load_study

    send_no_statistics()
    settings = load_study(study, overrides or [])
    reporter = Reporter(quiet=True)
    print(write_export(settings, runs, cache=default_cache(os.environ), reporter=reporter, out=out, licence=licence))


@app.command()
def index(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Carry out a study up to its index."""
    _carry_out(study, overrides, runs, quiet, "index")


@app.command()
def modules(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Carry out a study up to its retrieval modules: rewriter, filter and memory, where it names them."""
    _carry_out(study, overrides, runs, quiet, "modules")


@app.command()
def tune(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Carry out a study up to its adapter."""
    _carry_out(study, overrides, runs, quiet, "tune")


@app.command()
def rubric(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Carry out a study up to its judge's rubric, frozen before the first answer, where the group judge is set."""
    _carry_out(study, overrides, runs, quiet, "rubric")


@app.command()
def answer(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Carry out a study up to every arm's answers."""
    _carry_out(study, overrides, runs, quiet, "answer")


@app.command()
def checks(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Carry out a study up to the checks of its adapter, where checks.enabled is set."""
    _carry_out(study, overrides, runs, quiet, "checks")


@app.command()
def latency(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Carry out a study up to the latency pass, where latency.enabled is set."""
    _carry_out(study, overrides, runs, quiet, "latency")


@app.command()
def score(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Carry out a study up to its scores."""
    _carry_out(study, overrides, runs, quiet, "score")


@app.command()
def dashboard(
    runs: Runs = Path("runs"),
    port: Annotated[int, typer.Option(help="port on this machine", min=1, max=65535)] = 8501,
    address: Annotated[
        str, typer.Option(help="address to listen on; another one only inside a container")
    ] = "127.0.0.1",
) -> None:
    """Show the results in a browser, on this machine only, until Ctrl-C."""
    from fourfold.app.dashboard.serve import serve

    serve(runs, port=port, address=address)


@app.command()
def sweep(
    study: Study,
    settings: Annotated[
        list[str], typer.Argument(help="settings to try, as section.key=value,value", show_default=False)
    ],
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
) -> None:
    """Try every combination of settings, choose each arm's on validation questions, and test it."""
    from fourfold.app.progress import Reporter
    from fourfold.app.run import default_cache, send_no_statistics
    from fourfold.app.sweep import plan_sweep, run_sweep
    from fourfold.evals.report.sweep import render_sweep

    send_no_statistics()
    cache = default_cache(os.environ)
    points, problems = plan_sweep(study, settings, runs, cache=cache)
    raise_all(problems)
    done = run_sweep(points, runs, cache=cache, reporter=Reporter(quiet=quiet))
    print(render_sweep(done.report), end="")
    print(f"\nsweep: {done.folder / 'sweep.json'}")


@app.command("dry-run")
def dry_run(study: Study, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Show what tuning would train on: an example of each form, its trained tokens marked; nothing is trained."""
    from fourfold.app.dry_run import dry_run as look
    from fourfold.app.dry_run import render_dry_run
    from fourfold.app.progress import Reporter
    from fourfold.app.run import default_cache, send_no_statistics
    from fourfold.study_file import load_study

    send_no_statistics()
    settings = load_study(study, overrides or [])
    done = look(settings, runs, cache=default_cache(os.environ), reporter=Reporter(quiet=quiet))
    print(render_dry_run(done), end="")
    raise_all(done.faults)


@app.command()
def compare(
    study_a: Annotated[str, typer.Argument(help="name of a finished study in --runs, or its file", show_default=False)],
    study_b: Annotated[str, typer.Argument(help="the other one, alike", show_default=False)],
    runs: Runs = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Compare two finished studies on the same test questions, arm by arm, A minus B."""
    from fourfold.app.compare import compare_finished
    from fourfold.app.run import default_cache, send_no_statistics
    from fourfold.evals.report.comparison_text import comparison_as_json, render_comparison

    send_no_statistics()
    found = compare_finished(study_a, study_b, runs, cache=default_cache(os.environ))
    print((comparison_as_json if as_json else render_comparison)(found), end="")


@app.command()
def models(
    study: Annotated[Path | None, typer.Argument(help="study file whose models are listed too")] = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List the models on this machine and of a study: where, how large, and whether they fit in memory."""
    from fourfold.app.memory import look_at_machine
    from fourfold.app.models import list_models
    from fourfold.app.run import default_cache, send_no_statistics
    from fourfold.app.show_models import models_as_json, render_models
    from fourfold.study_file import load_study

    send_no_statistics()
    settings = None if study is None else load_study(study, overrides or [])
    machine = look_at_machine()
    found = list_models(cache=default_cache(os.environ), hub=None, machine=machine, study=settings)
    print((models_as_json if as_json else render_models)(machine, found), end="")


def _carry_out(path: Path, overrides: list[str] | None, runs: Path, quiet: bool, upto: str) -> None:
    import time

    from fourfold.app.check import check_study
    from fourfold.app.progress import Reporter, format_seconds
    from fourfold.app.run import default_cache, run_study, send_no_statistics
    from fourfold.study_file import load_study

    send_no_statistics()
    started = time.perf_counter()
    cache = default_cache(os.environ)
    settings = load_study(path, overrides or [])
    raise_all([f.problem for f in check_study(settings, runs, cache=cache) if f.problem is not None])
    reporter = Reporter(quiet=quiet)
    done = run_study(settings, runs, cache=cache, reporter=reporter, upto=upto)
    took = format_seconds(time.perf_counter() - started)
    reporter.say(
        f"done in {took}, {done.n_stages_run} stage(s) carried out"
        if done.n_stages_run
        else f"nothing to do: every stage was there already ({took})"
    )
    if done.report is None:
        print(done.folder)
        return
    from fourfold.evals.report.terminal import render_terminal

    print(render_terminal(done.report), end="")
    print(f"\nreport: {done.folder / 'report.html'}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> None:
    """Entry point of the `fourfold` command."""
    try:
        code = app(standalone_mode=False)
    except FourfoldError as error:
        _tell(f"fourfold: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        # Typer's own usage errors know how to show themselves and which code they end with.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 1))
    if code == 130:
        # Typer turns an interrupt inside a command into this code.
        _tell("fourfold: interrupted; what is finished is kept, the same command goes on from there")
    sys.exit(code or 0)
