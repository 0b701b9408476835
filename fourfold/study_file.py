"""The study file: YAML with `key=value` overrides, all mistakes reported together.

Paths are relative to the study file's folder.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from fourfold.arms import adapter_names
from fourfold.errors import StudyError
from fourfold.study import (
    EMBEDDED,
    EndpointSettings,
    JudgeSettings,
    RetrievalSettings,
    Settings,
    StudySettings,
    TuningSettings,
)


def load_study(path: Path, overrides: Sequence[str] = ()) -> StudySettings:
    """Read a study file.

    Args:
        path: YAML file.
        overrides: `section.key=value` strings, value in YAML; later ones win.

    Returns:
        The study with absolute paths.

    Raises:
        StudyError: the file is missing, no YAML, or a setting is wrong; all wrong settings in one message.
    """
    raw = _read_yaml(path)
    for override in overrides:
        _apply(raw, override)
    try:
        study = StudySettings.model_validate(raw)
    except ValidationError as error:
        raise _study_error(path, error) from None
    problems = list(_cross_checks(study))
    if problems:
        raise StudyError(
            f"{path.name}: {len(problems)} setting(s) do not fit together",
            seen="; ".join(problems),
            expected="settings that fit together",
            hint="correct the study file, or override with key=value",
        )
    return _with_absolute_paths(study, path.resolve().parent)


def dump_study(study: StudySettings) -> str:
    """The resolved study as YAML, every field written out."""
    return yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, of which YAML's own loader keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for at, (key, _) in enumerate(node.value):
            if key.value in keys[:at]:
                raise yaml.constructor.ConstructorError(
                    problem=f"'{key.value}' stands twice", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError:
        raise StudyError(
            "no such study file", seen=path, expected="a YAML file", hint="write one with: fourfold init FOLDER"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(
            "the study file cannot be read",
            seen=f"{path}: {error}",
            expected="a text file in UTF-8",
            hint="name the study's YAML file, or save it as UTF-8",
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        where = " ".join(str(error).split())
        raise StudyError(f"{path.name} is not YAML", seen=where, expected="YAML", hint="correct that line") from None
    if not isinstance(raw, dict):
        raise StudyError(
            f"{path.name} holds no settings",
            seen=type(raw).__name__,
            expected="a mapping such as 'name: …'",
            hint="write one with: fourfold init FOLDER",
        )
    # A section in which everything is commented out is at its defaults.
    return {name: value for name, value in raw.items() if value is not None}


def _apply(raw: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise StudyError(
            "an override cannot be read", seen=override, expected="section.key=value", hint="for example retrieval.k=5"
        )
    *parents, last = key.strip().split(".")
    target = raw
    for parent in parents:
        child = target.setdefault(parent, {})
        if not isinstance(child, dict):
            raise StudyError(
                "an override names a setting inside a value",
                seen=key,
                expected="section.key=value",
                hint=f"write {parent}=value, or correct {parent} in the study file",
            )
        target = child
    try:
        target[last] = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):  # ValueError: a date that is none
        raise StudyError(
            "an override's value is not YAML", seen=override, expected="a YAML value", hint="quote it"
        ) from None


def _study_error(path: Path, error: ValidationError) -> StudyError:
    lines = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            lines.append(f"{where}: unknown setting{_nearest(item['loc'])}")
        elif item["type"] == "missing":
            lines.append(f"{where}: missing")
        else:
            # A key that was pasted where its variable or an address belongs is not shown.
            secret = bool(item["loc"]) and item["loc"][-1] in {"urls", "key_variable"}
            # What settings of several groups say together has no place of its own, and its input is the whole study.
            given = f"{where} = {'…' if secret else repr(item['input'])}: " if item["loc"] else ""
            lines.append(given + item["msg"])
    return StudyError(
        f"{path.name}: {len(lines)} setting(s) are wrong",
        seen="\n            ".join(lines),
        expected="the settings that 'fourfold init' writes, with their units",
        hint="correct these lines, or override with key=value",
    )


def _nearest(location: tuple[int | str, ...]) -> str:
    fields: Any = StudySettings.model_fields
    for part in location[:-1]:
        if isinstance(part, int):
            # One of several, as judge.judges.0: the sections are those of its class.
            continue
        annotation = fields[part].annotation
        # A section that may be null is a union of its class and None.
        sections = [kind for kind in (annotation, *typing.get_args(annotation)) if hasattr(kind, "model_fields")]
        fields = sections[0].model_fields
    known = list(fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    return f", did you mean '{near[0]}'?" if near else f", known here: {', '.join(known)}"


def _cross_checks(study: StudySettings) -> list[str]:
    problems = []
    if study.verdict.primary not in study.score.metrics:
        problems.append(f"verdict.primary = {study.verdict.primary} is not among score.metrics")
    if study.tuning.batch_rows % study.tuning.micro_batch_rows:
        problems.append(
            f"tuning.micro_batch_rows = {study.tuning.micro_batch_rows} does not divide "
            f"tuning.batch_rows = {study.tuning.batch_rows}"
        )
    if study.index.chunk_overlap * 2 > study.index.chunk_tokens:
        problems.append(
            f"index.chunk_overlap = {study.index.chunk_overlap} is over half of "
            f"index.chunk_tokens = {study.index.chunk_tokens}"
        )
    if study.retrieval.candidates < study.retrieval.k:
        problems.append(
            f"retrieval.candidates = {study.retrieval.candidates} is under retrieval.k = {study.retrieval.k}"
        )
    if study.model.endpoint is not None:
        problems += _unserved(study, study.model.endpoint)
    if study.verdict.constraints.max_p95_seconds is not None and not study.latency.enabled:
        problems.append("verdict.constraints.max_p95_seconds is set, and latency.enabled is not")
    if study.checks.enabled and "tune" not in adapter_names(study):
        problems.append("checks.enabled is set, and no arm has an adapter")
    return problems


def _unserved(study: StudySettings, endpoint: EndpointSettings) -> list[str]:
    """Adapters that the study tunes and the server is not said to have, and names of none."""
    tuned, named = adapter_names(study), endpoint.adapters
    return [
        *(f"model.endpoint.adapters lacks {name}, the server's name for it" for name in tuned if name not in named),
        *(f"model.endpoint.adapters names {name}, which is not tuned" for name in named if name not in tuned),
    ]


def _with_absolute_paths(study: StudySettings, folder: Path) -> StudySettings:
    corpus = study.corpus.model_copy(update={"folder": (folder / study.corpus.folder).resolve()})
    update: dict[str, Settings] = {"corpus": corpus}
    asked = study.questions
    named = {"file": asked.file, "reviewed": asked.reviewed, "prompts": asked.prompts, "outside": asked.outside}
    found = {name: (folder / path).resolve() for name, path in named.items() if path is not None}
    update["questions"] = asked.model_copy(update=found)
    update["tuning"] = _tuning_with_absolute_paths(study.tuning, folder)
    if model := _local_model(study.model.id, folder):
        update["model"] = study.model.model_copy(update={"id": model})
    if embedder := _local_model(study.index.embedder, folder):
        update["index"] = study.index.model_copy(update={"embedder": embedder})
    update["retrieval"] = _retrieval_with_absolute_paths(study.retrieval, folder)
    held = {"text": study.checks.text, "counterfactual": study.checks.counterfactual,
            "corpus_v2": study.checks.corpus_v2}  # fmt: skip
    beside = {name: (folder / path).resolve() for name, path in held.items() if path is not None}
    update["checks"] = study.checks.model_copy(update=beside)
    if study.judge is not None:
        update["judge"] = _judge_with_absolute_paths(study.judge, folder)
    return study.model_copy(update=update)


def _retrieval_with_absolute_paths(retrieval: RetrievalSettings, folder: Path) -> RetrievalSettings:
    update: dict[str, object] = {}
    if (own := retrieval.knowledge_filter) is not None and own.model is not None:
        update["knowledge_filter"] = own.model_copy(update={"model": (folder / own.model).resolve()})
    if retrieval.reranker is not None and (local := _local_model(retrieval.reranker, folder)):
        update["reranker"] = local
    return retrieval.model_copy(update=update)


def _tuning_with_absolute_paths(tuning: TuningSettings, folder: Path) -> TuningSettings:
    update: dict[str, object] = {}
    if tuning.control is not None:
        update["control"] = (folder / tuning.control).resolve()
    if tuning.general is not None:
        general = tuning.general
        update["general"] = general.model_copy(update={"file": (folder / general.file).resolve()})
    return tuning.model_copy(update=update)


def _judge_with_absolute_paths(judge: JudgeSettings, folder: Path) -> JudgeSettings:
    named = {"guidelines": judge.guidelines, "labels": judge.labels}
    found = {name: (folder / path).resolve() for name, path in named.items() if path is not None}
    models = tuple(
        model.model_copy(update={"id": local}) if (local := _local_model(model.id, folder)) else model
        for model in judge.judges
    )
    return judge.model_copy(update={**found, "judges": models})


def _local_model(model_id: str, folder: Path) -> str | None:
    local = folder / model_id
    is_local = local.is_dir() or (local.suffix == ".gguf" and local.is_file())
    return str(local.resolve()) if model_id != EMBEDDED and is_local else None
