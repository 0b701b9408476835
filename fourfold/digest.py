"""Digests: what makes a result traceable and a cache safe."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def digest_of(value: object) -> str:
    """SHA-256 (64 hex digits) of a JSON-like value, independent of the order of mapping keys.

    Args:
        value: None, bool, int, float, str, dataclasses, and lists, tuples or mappings of these.
    """

    def encode(item: object) -> object:
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
        raise TypeError(f"a digest of {type(item).__name__} is not defined")

    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=encode, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 (64 hex digits) of a file's bytes."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK_BYTES):
            sha.update(block)
    return sha.hexdigest()


def digest_of_folder(folder: Path) -> str:
    """SHA-256 (64 hex digits) of a folder's files: their relative names and bytes, sorted by name."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return digest_of([(name, digest_of_file(folder / name)) for name in names])
