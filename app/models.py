"""`fourfold models`: which models are on this machine or named by a study, how large they are, and what fits.

Nothing is fetched, loaded or asked over the network. Only safetensors and GGUF are read; the rest is named with the
reason. Memory is counted as app/memory.py says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fourfold.app.memory import Machine, Need, need_of
from fourfold.errors import ModelError
from fourfold.llm.shape import Shape, read_folder_shape, read_gguf_shape
from fourfold.llm.weights import (
    EMBEDDED_LANGUAGE_MODEL,
    Weights,
    find_embedder,
    find_language_model,
    is_converted,
)
from fourfold.study import EMBEDDED, EndpointSettings, ModelSettings, StudySettings

Role = Literal["language model", "embedder", "unknown"]
Source = Literal["embedded", "hub cache", "converted", "study"]
_CODE = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One model: `id` is what a study file names it by, `where` its folder, file or addresses.

    `need` is None where it does not run here (an embedder's share is small), `refused` says why it cannot be used.
    """

    source: Source
    role: Role
    id: str
    where: str | None
    form: Literal["safetensors", "gguf", "endpoint"] | None = None
    file_bytes: int | None = None
    n_parameters: int | None = None
    need: Need | None = None
    fits_answering: bool | None = None
    fits_tuning: bool | None = None
    note: str | None = None
    refused: str | None = None


def list_models(
    *, cache: Path, hub: Path | None, machine: Machine, study: StudySettings | None = None
) -> tuple[Listed, ...]:
    """Every model, the study's first.

    Args:
        cache: folder of converted copies.
        hub: the Hugging Face cache; None: where it is on this machine.
        machine: what the models have to fit in.
        study: whose model, embedder and endpoints are listed too, and whose dtype and batch size are counted with.
    """
    settings = study.model if study is not None else ModelSettings()
    lister = _Lister(cache, machine, settings)
    snapshots = dict(_snapshots(hub))
    found = [*lister.of_study(study, snapshots)] if study is not None else []
    found += [lister.embedded_model(), lister.embedded_embedder()]
    found += [row for name, folder in sorted(snapshots.items()) for row in lister.of_folder("hub cache", name, folder)]
    return tuple(found + list(lister.converted()))


class _Lister:
    def __init__(self, cache: Path, machine: Machine, settings: ModelSettings) -> None:
        self.cache = cache
        self.machine = machine
        self.settings = settings

    def embedded_model(self, source: Source = "embedded") -> Listed:
        """The language model that comes as a package."""
        try:
            weights = find_language_model(EMBEDDED, self.cache)
        except ModelError as error:
            return Listed(source=source, role="language model", id=EMBEDDED, where=None, refused=_why(error))
        return self._of_gguf(source, EMBEDDED, weights, EMBEDDED_LANGUAGE_MODEL)

    def embedded_embedder(self, source: Source = "embedded") -> Listed:
        """The embedder that comes as a package."""
        try:
            weights = find_embedder(EMBEDDED)
        except ModelError as error:
            return Listed(source=source, role="embedder", id=EMBEDDED, where=None, refused=_why(error))
        (row,) = self.of_folder(source, EMBEDDED, weights.folder)
        return row

    def of_study(self, study: StudySettings, snapshots: dict[str, Path]) -> Iterator[Listed]:
        """The study's language model and embedder: what runs here, and the endpoint that stands in for it."""
        named: tuple[tuple[Role, str, EndpointSettings | None], ...] = (
            ("language model", study.model.id, study.model.endpoint),
            ("embedder", study.index.embedder, study.index.endpoint),
        )
        for role, model_id, endpoint in named:
            if endpoint is not None:
                yield Listed(
                    source="study",
                    role=role,
                    id=endpoint.model,
                    where=", ".join(endpoint.urls),
                    form="endpoint",
                    note="not asked here: fourfold check does",
                )
            elif model_id == EMBEDDED:
                embedded = self.embedded_model if role == "language model" else self.embedded_embedder
                yield embedded("study")
            else:
                yield from self._named(role, model_id, snapshots)

    def _named(self, role: Role, model_id: str, snapshots: dict[str, Path]) -> Iterator[Listed]:
        path = Path(model_id)
        if path.suffix.lower() == ".gguf":
            try:
                weights = find_language_model(model_id, self.cache)
            except ModelError as error:
                yield Listed(source="study", role=role, id=model_id, where=model_id, refused=_why(error))
            else:
                yield self._of_gguf("study", model_id, weights, path.stem)
        elif path.is_dir() or model_id in snapshots:
            yield from self.of_folder("study", model_id, path if path.is_dir() else snapshots[model_id])
        else:
            yield Listed(
                source="study", role=role, id=model_id, where=None, note="not on this machine: the first run fetches it"
            )

    def of_folder(self, source: Source, model_id: str, folder: Path) -> Iterator[Listed]:
        """A Hugging Face folder, or the GGUF files in it."""
        files = sorted(path for path in folder.iterdir() if path.is_file())
        ggufs = [path for path in files if path.suffix == ".gguf"]
        tensors = [path for path in files if path.suffix == ".safetensors"]
        if ggufs and not tensors:
            for file in ggufs:
                yield self._sized_gguf(source, str(file), file, note=f"of {model_id}; name the file in model.id")
            return
        role: Role = _role(folder)
        refused = _refusal(folder, files, tensors)
        if refused is not None:
            yield Listed(source=source, role=role, id=model_id, where=str(folder), refused=refused)
            return
        row = Listed(
            source=source,
            role=role,
            id=model_id,
            where=str(folder),
            form="safetensors",
            file_bytes=sum(path.stat().st_size for path in tensors),
            note=_note(folder),
        )
        yield self._with_size(row, folder)

    def converted(self) -> Iterator[Listed]:
        """Copies of GGUF files in the user's cache, the embedded model's aside."""
        try:
            own = find_language_model(EMBEDDED, self.cache).folder
        except ModelError:
            own = None
        for folder in sorted(self.cache.iterdir()) if self.cache.is_dir() else ():
            if (folder / "config.json").is_file() and folder != own:
                yield from self.of_folder("converted", str(folder), folder)

    def _of_gguf(self, source: Source, model_id: str, weights: Weights, name: str) -> Listed:
        assert weights.gguf is not None
        if not is_converted(weights):
            note = f"{name}; the first run converts it to {weights.folder}"
            return self._sized_gguf(source, model_id, weights.gguf, note=note)
        row = Listed(
            source=source,
            role="language model",
            id=model_id,
            where=str(weights.gguf),
            form="gguf",
            file_bytes=weights.gguf.stat().st_size,
            note=f"{name}; converted at {weights.folder}",
        )
        return self._with_size(row, weights.folder)

    def _sized_gguf(self, source: Source, model_id: str, file: Path, *, note: str) -> Listed:
        row = Listed(
            source=source,
            role="language model",
            id=model_id,
            where=str(file),
            form="gguf",
            file_bytes=file.stat().st_size,
            note=note,
        )
        return self._with_size(row, file)

    def _with_size(self, row: Listed, place: Path) -> Listed:
        try:
            shape = read_gguf_shape(place) if place.is_file() else read_folder_shape(place)
        except ModelError as error:
            return replace(row, refused=_why(error))
        if row.role != "language model":
            return replace(row, n_parameters=shape.n_parameters)
        return self._with_need(row, shape)

    def _with_need(self, row: Listed, shape: Shape) -> Listed:
        need = need_of(shape, self.settings)
        return replace(
            row,
            n_parameters=shape.n_parameters,
            need=need,
            fits_answering=self._fits(need.answering),
            fits_tuning=self._fits(need.tuning),
        )

    def _fits(self, n_bytes: int | None) -> bool | None:
        available = self.machine.available_bytes
        return None if n_bytes is None or available is None else n_bytes <= available


def _snapshots(hub: Path | None) -> Iterator[tuple[str, Path]]:
    """The newest snapshot of each model in the Hugging Face cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = scan_cache_dir(hub).repos
    except (CacheNotFound, ValueError):
        return
    for repo in repos:
        if repo.repo_type == "model" and repo.revisions:
            yield repo.repo_id, max(repo.revisions, key=lambda revision: revision.last_modified).snapshot_path


def _role(folder: Path) -> Role:
    if (folder / "modules.json").is_file():
        return "embedder"
    architectures = _config(folder).get("architectures")
    if isinstance(architectures, list) and any(
        str(name).endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")) for name in architectures
    ):
        return "language model"
    return "unknown"


def _refusal(folder: Path, files: list[Path], tensors: list[Path]) -> str | None:
    """Why it cannot be used: no safetensors, or not all of them."""
    if not tensors:
        code = [path.name for path in files if path.suffix in _CODE]
        held = f"only {', '.join(code[:3])}, which can hold code" if code else "no weights"
        return f"{held}: safetensors and GGUF alone are read"
    index = folder / "model.safetensors.index.json"
    try:
        wanted = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()) if index.is_file() else set()
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"{index.name} cannot be read"
    missing = wanted - {path.name for path in tensors}
    return f"not fetched whole: {len(missing)} of {len(wanted)} files are missing" if missing else None


def _note(folder: Path) -> str | None:
    if "auto_map" in _config(folder):
        return "comes with code of its own, which is not run"
    return None


def _config(folder: Path) -> dict[str, object]:
    try:
        held = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def _why(error: ModelError) -> str:
    return f"{error.what}: {error.seen}; {error.hint}"
