"""When PDF files were last changed, by their own metadata; what a file system says is when they were copied."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

import pymupdf

from fourfold.ingest.passwords import unlock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fourfold.ingest.passwords import Password
    from fourfold.types import Document

_DATE = re.compile(r"D:(\d{4})(\d{2})?(\d{2})?")


def read_dates(
    folder: Path, documents: Sequence[Document], passwords: Mapping[str, Password]
) -> dict[str, date | None]:
    """Per id of a read document the day of its last change, else of its creation; None where it names neither.

    Args:
        folder: of the corpus.
        documents: with their names, paths in the folder.
        passwords: by the file's path in the folder.
    """
    found: dict[str, date | None] = {}
    for document in documents:
        if document.status == "read":
            with pymupdf.open(folder / document.name, filetype="pdf") as pdf:
                locked = unlock(pdf, passwords.get(document.name))
                data = {} if locked else pdf.metadata or {}
            found[document.doc_id] = parse_date(data.get("modDate")) or parse_date(data.get("creationDate"))
    return found


def parse_date(text: str | None) -> date | None:
    """A PDF's "D:20170224093000-05'00'" as a day, without month or day the first; None for anything else."""
    match = _DATE.match(text or "")
    if match is None:
        return None
    try:
        return date(*(int(part or 1) for part in match.groups()))
    except ValueError:
        return None
