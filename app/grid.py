"""The grid of a sweep: `section.key=value,value` arguments, multiplied out into studies.

What stands behind '=' is read as the items of a YAML list: `retrieval.k=1,3,5` is three values; one that is a list
itself stands in brackets and is one value (`answer.arms=[base, rag]`), a text with a comma in quotes. An argument of
one value is a plain override, of any setting, that holds at every point.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from fourfold.errors import FourfoldError, StudyError
from fourfold.study import IndexSettings, RetrievalSettings, Settings, StudySettings, TuningSettings
from fourfold.study_file import load_study

# What one arm may have otherwise than the next (fairness rule 1); all else is the same for all, or would change the
# questions. The embedder decides which generated questions repeat test questions; seeds are drawn, not chosen; a
# control, a diagnostic and the spacing of checkpoints are no configurations.
_FIXED = {
    "index.embedder", "tuning.seeds", "tuning.control", "tuning.single_forms", "tuning.checkpoint_steps",
    "tuning.drift_documents", "index.endpoint", "index.query_prompt", "index.passage_prompt",
}  # fmt: skip
_GROUPS: dict[str, type[Settings]] = {"index": IndexSettings, "retrieval": RetrievalSettings, "tuning": TuningSettings}
SWEPT = (
    *(f"{n}.{key}" for n, group in _GROUPS.items() for key in group.model_fields if f"{n}.{key}" not in _FIXED),
    "answer.n_shots",
    "answer.shots_seed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of the grid: its number from 1, the swept settings as 'key=value', and the study with them."""

    number: int
    changes: tuple[str, ...]
    study: StudySettings


def load_points(path: Path, arguments: Sequence[str]) -> tuple[tuple[Point, ...], list[FourfoldError]]:
    """Multiply the grid out, the last argument changing fastest.

    Args:
        path: the study file.
        arguments: see the module.

    Returns:
        The points that are studies, and everything that is wrong, each mistake once.
    """
    fixed: list[str] = []
    axes: list[list[str]] = []
    problems: list[FourfoldError] = []
    for argument in arguments:
        try:
            values = _read(argument)
        except StudyError as error:
            problems.append(error)
            continue
        axes, fixed = ([*axes, values], fixed) if len(values) > 1 else (axes, [*fixed, *values])
    problems += _wrong_axes(axes)
    if problems:
        return (), problems
    points = []
    for number, changes in enumerate(itertools.product(*axes), start=1):
        try:
            points.append(Point(number=number, changes=changes, study=load_study(path, [*fixed, *changes])))
        except StudyError as error:
            problems.append(error)
    return tuple(points), list({str(problem): problem for problem in problems}.values())


def _read(argument: str) -> list[str]:
    """One override for each value."""
    key, equals, text = argument.partition("=")
    try:
        values = yaml.safe_load(f"[{text}]") if equals and key.strip() and text.strip() else []
    except (yaml.YAMLError, ValueError):  # ValueError: a date that is none
        values = []
    if not values:
        raise StudyError(
            "a setting to try cannot be read",
            seen=argument,
            expected="section.key=value,value with values in YAML",
            hint="for example retrieval.k=1,3,5; put a value that is a list in brackets, a text with commas in quotes",
        )
    overrides = [f"{key.strip()}={_as_yaml(value)}" for value in values]
    if len(set(overrides)) < len(overrides):
        raise StudyError(
            "a sweep tries a value twice", seen=argument, expected="different values", hint="name each value once"
        )
    return overrides


def _as_yaml(value: object) -> str:
    # One line; a bare value ends with YAML's end of document.
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1_000_000)
    return text.removesuffix("\n").removesuffix("...").strip()


def _wrong_axes(axes: Sequence[Sequence[str]]) -> list[FourfoldError]:
    keys = [axis[0].partition("=")[0] for axis in axes]
    problems: list[FourfoldError] = []
    if others := [key for key in keys if key not in SWEPT]:
        problems.append(
            StudyError(
                "a sweep cannot try several values of that",
                seen=", ".join(others),
                expected=f"what an arm may have otherwise than the next: {', '.join(SWEPT)}",
                hint="give it one value, or compare whole studies with fourfold run",
            )
        )
    if not axes or len(set(keys)) < len(keys):
        problems.append(
            StudyError(
                "a sweep needs settings to try, each named once",
                seen=", ".join(keys) or "no setting with several values",
                expected="section.key=value,value",
                hint="for example retrieval.k=1,3,5",
            )
        )
    return problems
