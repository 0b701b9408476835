"""What made a result: commit, versions, device."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fourfold

_PACKAGES = (
    "bitsandbytes", "bm25s", "llama-index-core", "numpy", "peft", "pymupdf",
    "qdrant-client", "scipy", "sentence-transformers", "torch", "transformers",
)  # fmt: skip


@functools.cache
def provenance() -> Mapping[str, Any]:
    """Version and commit of fourfold (None outside a checkout), versions of what it stands on, machine."""
    return {
        "fourfold": fourfold.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": {name: version for name in _PACKAGES if (version := _version(name)) is not None},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    root = Path(fourfold.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(root, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603, S607
    return done.stdout.strip()
