"""Passwords of encrypted PDFs: named by their environment variable, handed in, never stored or shown."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymupdf

from fourfold.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_N_LISTED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """One file's password. `value` is None where the variable is not set; it is left out of the representation."""

    variable: str
    value: str | None = field(repr=False)


def take_passwords(variables: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, Password]:
    """The passwords that a study names.

    Args:
        variables: name of the environment variable by the file's path relative to the corpus' folder.
        environment: the environment; only the named variables are looked at.
    """
    return {
        as_name(name): Password(variable=variable, value=environment.get(variable))
        for name, variable in variables.items()
    }


def as_name(name: str) -> str:
    """A file's name as it is compared: NFC, because file systems and editors differ in how they write an "ü"."""
    return unicodedata.normalize("NFC", name)


def require_files(passwords: Mapping[str, Password], names: Iterable[str]) -> None:
    """Refuse passwords for files that are not there: a slip in a name would else look like a wrong password.

    Raises:
        DocumentError: a password is named for a file that the folder does not hold.
    """
    strange = sorted(set(passwords) - {as_name(name) for name in names})
    if strange:
        raise DocumentError(
            "corpus.passwords names files that are not in the folder",
            seen=", ".join(strange[:_N_LISTED]),
            expected="paths of PDF files relative to corpus.folder, as sub/file.pdf",
            hint="correct the names in corpus.passwords",
        )


def unlock(pdf: Any, password: Password | None) -> str | None:
    """Open an encrypted document.

    Args:
        pdf: an open `pymupdf.Document` that may need a password.
        password: the file's, or None where the study names none.

    Returns:
        None if it is open now, else why it is not; the reason holds the variable's name, never its value.
    """
    if not pdf.needs_pass:
        return None
    if password is None:
        return "encrypted: it asks for a password; name the variable that holds it in corpus.passwords"
    if password.value is None:
        return f"encrypted: the environment variable {password.variable} is not set"
    if not pdf.authenticate(password.value):
        return f"encrypted: the value of the environment variable {password.variable} does not open it"
    return None


def lock_states(folder: Path, passwords: Mapping[str, Password]) -> dict[str, str]:
    """Per file with a password whether it opens, which is what a result depends on (and not on the password)."""
    return {name: _lock_state(folder / name, password) for name, password in sorted(passwords.items())}


def _lock_state(path: Path, password: Password) -> str:
    try:
        with pymupdf.open(path, filetype="pdf") as pdf:
            return unlock(pdf, password) or "open"
    except (pymupdf.mupdf.FzErrorBase, RuntimeError, ValueError, OSError):
        return "broken"  # the reader says how
