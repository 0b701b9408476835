"""The composition: stages in order, each found in the store or carried out and stored."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.progress import format_seconds
from fourfold.digest import digest_of
from fourfold.store import Draft, Result, no_space

_ENOSPC = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a stage gives.

    `content` is what, beside the rows, later stages depend on; `summary` is for people.
    """

    records: Sequence[object]
    content: Mapping[str, Any]
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage.

    Args:
        name: as on the command line.
        version: raise it when the same settings and inputs would give other rows.
        settings: what of the study (and of the models' identity) the result depends on.
        inputs: digests of what it reads.
        run: does the work; the folder is None unless `blob`.
        blob: None, or what to do with a folder left by a killed run: 'discard' it or 'resume' from it.
        needed: whether this study has the stage at all.
        describe: one line about a finished result.
        parts: a stage that is carried out in several, each stored by itself under its own name, gives them here; its
            own fields but `name` are then not used.
    """

    name: str
    version: int
    settings: Callable[[Context], Mapping[str, Any]]
    inputs: Callable[[Context], Mapping[str, str]]
    run: Callable[[Context, Path | None], Outcome]
    blob: str | None = None
    needed: Callable[[Context], bool] = lambda _: True
    describe: Callable[[Mapping[str, Any]], str] = lambda _: ""
    parts: Callable[[Context], Sequence[Stage]] | None = None


def expand(context: Context, stages: Sequence[Stage]) -> list[Stage]:
    """The stages that this study has, those in parts taken apart."""
    whole = [part for stage in stages for part in (stage.parts(context) if stage.parts else [stage])]
    return [stage for stage in whole if stage.needed(context)]


def run_stages(context: Context, stages: Sequence[Stage]) -> int:
    """Carry out the stages that are not in the store yet.

    Returns:
        How many stages were carried out; 0 means that everything was there already.
    """
    n_run = 0
    for stage in expand(context, stages):
        key, settings, inputs = _address(context, stage)
        found = _find(context, stage, key)
        if found is None:
            context.reporter.say(f"{stage.name} …")
            found = _carry_out(context, stage, key, settings, inputs)
            n_run += 1
            context.reporter.say(f"{stage.name}: {stage.describe(found.summary)} ({format_seconds(found.seconds)})")
        else:
            context.reporter.say(f"{stage.name}: {stage.describe(found.summary)} (kept from {found.created_at[:16]})")
        context.results[stage.name] = found
    return n_run


def missing_stages(context: Context, stages: Sequence[Stage]) -> list[str]:
    """Names of the stages that are not in the store, from the first such one on; fills `context.results` up to it."""
    needed = expand(context, stages)
    for number, stage in enumerate(needed):
        key, _, _ = _address(context, stage)
        found = _find(context, stage, key)
        if found is None:
            return [later.name for later in needed[number:]]
        context.results[stage.name] = found
    return []


def _address(context: Context, stage: Stage) -> tuple[str, Mapping[str, Any], Mapping[str, str]]:
    settings, inputs = stage.settings(context), stage.inputs(context)
    return digest_of([stage.name, stage.version, settings, inputs]), settings, inputs


def _find(context: Context, stage: Stage, key: str) -> Result | None:
    result = context.store.find(key)
    if result is not None and stage.blob and not context.store.blob_folder(stage.name, key).is_dir():
        context.reporter.say(f"{stage.name}: its files are gone from the blobs folder, made again")
        return None
    return result


def _carry_out(
    context: Context, stage: Stage, key: str, settings: Mapping[str, Any], inputs: Mapping[str, str]
) -> Result:
    started = time.perf_counter()
    final = context.store.blob_folder(stage.name, key)
    partial = final.with_name(final.name + ".partial")
    try:
        if stage.blob:
            shutil.rmtree(final, ignore_errors=True)
            if stage.blob == "discard":
                shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True, exist_ok=True)
        outcome = stage.run(context, partial if stage.blob else None)
        if stage.blob:
            partial.rename(final)
    except OSError as error:
        if error.errno == _ENOSPC:
            raise no_space(context.store.folder, str(error)) from error
        raise
    draft = Draft(
        key=key,
        stage=stage.name,
        settings=settings,
        inputs=inputs,
        content=outcome.content,
        summary=outcome.summary,
        provenance=context.provenance,
        seconds=time.perf_counter() - started,
    )
    return context.store.put(draft, outcome.records)
