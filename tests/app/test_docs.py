"""Every YAML block of the docs is part of a study that loads, and every command in them exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from fourfold.app.cli import app
from fourfold.study import StudySettings

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
LEAST = {"name": "docs", "corpus": {"folder": "pdfs"}}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def test_there_are_pages_with_settings() -> None:
    assert sum(len(blocks(page, "yaml")) for page in PAGES) >= 5


@pytest.mark.parametrize("page", PAGES)
def test_settings_that_are_shown_load(page: str) -> None:
    for block in blocks(page, "yaml"):
        StudySettings.model_validate({**LEAST, **yaml.safe_load(block)})


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_are_shown_exist(page: str) -> None:
    lines = [shlex.split(line, comments=True) for block in blocks(page, "sh") for line in block.splitlines()]
    for command in (words[1:] for words in lines if words and words[0].endswith("fourfold")):
        known = get_command(app)
        for word in command:
            if not hasattr(known, "commands"):
                break
            assert word in known.commands, f"{page}: fourfold {' '.join(command)}"
            known = known.commands[word]
