"""A commented study file for a folder of PDFs, written from the settings' own documentation."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from fourfold.errors import StudyError
from fourfold.ingest.corpus import find_pdfs
from fourfold.study import StudySettings

_WIDTH = 110
_HEAD = """\
# A study of fourfold: retrieve, fine-tune, both or neither, on the PDFs of one folder.
# Check it with 'fourfold check', carry it out with 'fourfold run'. Paths are relative to this file.
# What is commented out stands at its default.
"""
_QUESTIONS = """\
  # Write the test questions yourself, one JSON object a line, for example:
  # {"id": "1", "question": "…?", "reference": "…", "key_facts": [["one wording", "another"]],
  #  "document": "manual.pdf", "page": 12, "quote": "a verbatim sentence of that page"}
  # Some dozens over many sections are needed before intervals get narrow.
"""


def write_study(folder: Path, out: Path) -> int:
    """Write a study file.

    Returns:
        The number of PDF files found.

    Raises:
        DocumentError: no folder, or no PDF in it.
        StudyError: `out` exists.
    """
    n_files = len(find_pdfs(folder))
    if out.exists():
        raise StudyError(
            "the study file exists", seen=out, expected="a new file", hint="name another with --out, or remove it"
        )
    name = "".join(
        c if c.isalnum() or c in "._-" else "-"
        for c in folder.resolve().name.lower().encode("ascii", "ignore").decode()
    )
    name = name.strip("._-")[:64] or "study"
    relative = Path(os.path.relpath(folder.resolve(), out.resolve().parent)).as_posix()
    given = {"name": name, "corpus.folder": relative, "questions.file": "questions.jsonl"}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_HEAD + "\n" + _group(StudySettings, "", given), encoding="utf-8")
    return n_files


def _group(settings: type[BaseModel], prefix: str, given: dict[str, str]) -> str:
    indent = "  " if prefix else ""
    lines: list[str] = []
    for name, field in settings.model_fields.items():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            doc = " ".join((field.annotation.__doc__ or "").split())
            if prefix:
                lines += _nested(name, field.annotation, doc)
                continue
            lines += ["", f"# {doc}", f"{name}:"]
            if name == "questions":
                lines.append(_QUESTIONS.rstrip("\n"))
            lines.append(_group(field.annotation, path, given))
            continue
        lines += textwrap.wrap(
            field.description or "", _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
        )
        if path in given:
            lines.append(f"{indent}{name}: {json.dumps(given[path], ensure_ascii=False)}")
        else:
            lines.append(f"{indent}# {name}: {_default(field.default)}")
    return "\n".join(lines).rstrip() + ("\n" if not prefix else "")


def _nested(name: str, settings: type[BaseModel], doc: str) -> list[str]:
    """A group inside a group: all of it a comment, for a section without a setting would stand for null."""
    lines = textwrap.wrap(doc, _WIDTH, initial_indent="  # ", subsequent_indent="  # ")
    lines.append(f"  # {name}:")
    for inner, field in settings.model_fields.items():
        told = textwrap.wrap(field.description or "", _WIDTH - 4)
        lines += [f"  #   # {line}" for line in told]
        lines.append(f"  #   {inner}: {_default(field.default)}")
    return lines


def _default(value: Any) -> str:
    assert value is not PydanticUndefined
    return json.dumps(value, ensure_ascii=False)
