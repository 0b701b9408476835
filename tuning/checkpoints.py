"""Checkpoints of a run that may be killed: only whole ones are gone on from, and only of the same tuning."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fourfold.errors import StoreError
from fourfold.store import no_space

_WHOLE = "whole"
_IDENTITY = "identity"
_ENOSPC = 28
# What Rust's and torch's writers say, as errors of their own kinds.
_FULL = ("No space left on device", "StorageFull", "PytorchStreamWriter failed writing")


def mark_whole(checkpoint: Path) -> None:
    """Say that a checkpoint was written to its end."""
    (checkpoint / _WHOLE).touch()


def last_whole(checkpoints: Path) -> Path | None:
    """The newest checkpoint that was written to its end; the others are removed."""
    found: list[tuple[int, Path]] = []
    for path in checkpoints.glob("checkpoint-*"):
        if (path / _WHOLE).exists():
            found.append((int(path.name.partition("-")[2]), path))
        else:
            shutil.rmtree(path)
    return max(found)[1] if found else None


def claim(checkpoints: Path, identity: str) -> None:
    """Note whose checkpoints these are.

    Args:
        checkpoints: the folder; made where there is none.
        identity: digest of base, rows and settings.

    Raises:
        StoreError: it holds those of another base, rank or training set.
    """
    file = checkpoints / _IDENTITY
    held = file.read_text(encoding="ascii") if file.is_file() else None
    if held is None and last_whole(checkpoints) is None:
        checkpoints.mkdir(parents=True, exist_ok=True)
        file.write_text(identity, encoding="ascii")
    elif held != identity:
        raise StoreError(
            "the folder holds checkpoints of another tuning",
            seen=f"{checkpoints}: of {held[:16] if held else 'nobody knows what'}, this is {identity[:16]}",
            expected="checkpoints of the same base, rows and settings, or none",
            hint="remove that folder, or tune into another",
        )


@contextmanager
def telling_full_disk(folder: Path) -> Iterator[None]:
    """Turn what the writers of checkpoints say of a full disk into our own error; the last whole one stays.

    Raises:
        StoreError: the disk is full.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if getattr(error, "errno", None) == _ENOSPC or any(words in str(error) for words in _FULL):
            raise no_space(folder, " ".join(str(error).split())[:200]) from error
        raise
