"""`fourfold adapter export`: a study's adapter as PEFT folder, merged safetensors and GGUF, with its model card.

Heavy imports stay inside the functions, so that --help is quick.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fourfold.app.context import Context
    from fourfold.app.progress import Reporter
    from fourfold.evals.report.data import Report
    from fourfold.llm.port import Adapter
    from fourfold.study import StudySettings
    from fourfold.tuning.export.model_card import Licences


class Form(StrEnum):
    """What can be written."""

    PEFT = "peft"
    MERGED = "merged"
    GGUF = "gguf"


# The file or folder, and what it is.
FORMS: dict[Form, tuple[str, str]] = {
    Form.PEFT: ("peft", "the adapter beside its base, for PEFT and vLLM"),
    Form.MERGED: ("merged", "base and adapter in one model, safetensors"),
    Form.GGUF: ("adapter.gguf", "the adapter for llama.cpp, loaded with --lora beside the base"),
}
# The embedded model's own; of any other the user knows.
_EMBEDDED_LICENCE = "Apache-2.0"

adapter = typer.Typer(
    help="Take a tuned adapter out of a study.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@adapter.callback()
def _group() -> None:
    """Take a tuned adapter out of a study."""


@adapter.command()
def export(  # noqa: PLR0913, PLR0917 (options of a command)
    study: Annotated[Path, typer.Argument(help="study file (YAML) that was tuned", show_default=False)],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="settings to change, as section.key=value", show_default=False)
    ] = None,
    runs: Annotated[Path, typer.Option(help="working folder of results, shared by studies")] = Path("runs"),
    form: Annotated[list[Form], typer.Option(help="what to write; may be named several times")] = [Form.PEFT],  # noqa: B006
    seed: Annotated[int | None, typer.Option(help="tuning seed of the adapter; else the study's first")] = None,
    out: Annotated[Path | None, typer.Option(help="folder to write; else adapter in the study's results")] = None,
    base_licence: Annotated[str | None, typer.Option(help="licence of the base's weights, for the card")] = None,
    licence: Annotated[str | None, typer.Option(help="licence of the documents' text, for the card")] = None,
) -> None:
    """Write a study's adapter in forms that others read, with a model card."""
    from fourfold.app.progress import Reporter
    from fourfold.app.run import default_cache, send_no_statistics
    from fourfold.study_file import load_study
    from fourfold.tuning.export.model_card import Licences

    send_no_statistics()
    print(
        export_adapter(
            load_study(study, overrides or []),
            runs,
            cache=default_cache(os.environ),
            reporter=Reporter(quiet=True),
            what=Wanted(forms=tuple(dict.fromkeys(form)), seed=seed, out=out),
            licences=Licences(base=base_licence, documents=licence),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which forms, of which seed (None: the first), and where to (None: the study's results folder)."""

    forms: tuple[Form, ...]
    seed: int | None = None
    out: Path | None = None


def export_adapter(
    study: StudySettings, runs: Path, *, cache: Path, reporter: Reporter, what: Wanted, licences: Licences
) -> Path:
    """Write the forms and README.md, the model card, into a new folder, whole or not at all.

    Returns:
        The folder.

    Raises:
        StoreError: nothing was tuned with these settings, or the folder is there.
        StudyError: the study has no such adapter.
        ModelError: the adapter cannot be written in that form.
    """
    from contextlib import closing

    from fourfold.app.context import Context
    from fourfold.app.run import lock
    from fourfold.store import Store

    folder = what.out or runs / study.name / "adapter"
    _require_new(folder)
    with Store.open(runs) as store, lock(runs):
        context = Context(study=study, store=store, reporter=reporter, cache=cache)
        with closing(context):
            report = _finished(context)
            chosen = _choose(context, what.seed)
            scratch = folder.with_name(f".{folder.name}.new")
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            try:
                _write_forms(context, chosen, what.forms, scratch)
                text = _card(context, chosen, what.forms, licences, report)
                for place in (scratch, *(path for path in scratch.iterdir() if path.is_dir())):
                    (place / "README.md").write_text(text, encoding="utf-8")
                scratch.rename(folder)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _require_new(folder: Path) -> None:
    from fourfold.errors import StoreError

    if folder.exists():
        raise StoreError(
            "the folder of the export is there already",
            seen=folder,
            expected="a new folder",
            hint="name another with --out, or remove it",
        )


def _finished(context: Context) -> Report | None:
    """The study's report; None where it was carried out up to tuning alone.

    Raises:
        StoreError: it was not tuned with these settings.
    """
    from fourfold.app.pipeline import missing_stages
    from fourfold.app.stages import STAGES
    from fourfold.app.stages.report import make_report
    from fourfold.arms import adapter_names
    from fourfold.errors import StoreError

    missing = missing_stages(context, STAGES)
    # Each seed's adapter is asked for, so that none is missing where only the first was tuned.
    own = [name for name, (kind, _) in adapter_names(context.study).items() if kind == "mixture"]
    if not own or any(name not in context.results for name in own):
        raise StoreError(
            "there is no adapter to export",
            seen=f"not carried out with these settings: {', '.join(missing)}"
            if adapter_names(context.study)
            else "no arm is tuned",
            expected="a study that was tuned",
            hint="carry it out first: fourfold tune STUDY",
        )
    return None if missing else make_report(context)


def _choose(context: Context, seed: int | None) -> tuple[int, Adapter]:
    from fourfold.errors import StudyError

    adapters = context.adapters("mixture")
    wanted = next(iter(adapters)) if seed is None else seed
    if wanted not in adapters:
        raise StudyError(
            "the study has no adapter of that seed",
            seen=wanted,
            expected=f"one of tuning.seeds: {', '.join(map(str, adapters))}",
            hint="name one of these with --seed",
        )
    return wanted, adapters[wanted]


def _write_forms(context: Context, chosen: tuple[int, Adapter], forms: tuple[Form, ...], folder: Path) -> None:
    from fourfold.tuning.export.gguf_adapter import write_gguf_adapter
    from fourfold.tuning.export.merge import write_merged

    _, tuned = chosen
    for form in forms:
        path = folder / FORMS[form][0]
        if form == Form.PEFT:
            shutil.copytree(tuned.folder, path)
        elif form == Form.MERGED:
            write_merged(path, context.weights, context.study.model, tuned, device=context.device)
        else:
            write_gguf_adapter(path, context.weights, tuned)


def _card(
    context: Context,
    chosen: tuple[int, Adapter],
    forms: tuple[Form, ...],
    licences: Licences,
    report: Report | None,
) -> str:
    from fourfold.evals.report.sentence import format_estimate
    from fourfold.study import EMBEDDED
    from fourfold.tuning.export.model_card import Card, Licences, model_card

    _, tuned = chosen
    own = _EMBEDDED_LICENCE if context.study.model.id == EMBEDDED else None
    questions = context.questions("tuning")
    arms = [] if report is None else [arm for arm in report.arms if arm.role == "contestant"]
    metrics = [] if report is None else list(report.arms[0].metrics)
    limits = [] if report is None or report.checks is None else report.checks.limits
    return model_card(
        Card(
            study=context.study.name,
            base=context.weights.name,
            record=json.loads((tuned.folder / "training.json").read_text(encoding="utf-8")),
            documents=sorted({question.document for question in questions}),
            n_questions=len(questions),
            licences=Licences(base=licences.base or own, documents=licences.documents),
            forms=dict(FORMS[form] for form in forms),
            verdict=None if report is None else report.sentence,
            scores={
                metric.replace("_", " "): {arm.arm: format_estimate(arm.metrics[metric]) for arm in arms}
                for metric in metrics
            },
            limits=[
                f"{one.what}: {one.reason if one.value is None else f'{one.value:.3g} (limit {one.limit:g})'}"
                for one in limits
            ],
            made_by={
                "fourfold": context.provenance["fourfold"],
                "commit": context.provenance["commit"] or "unknown",
            },
        )
    )
