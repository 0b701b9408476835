"""README's commands are real ones: what it tells a newcomer to type is read here and tried as far as it is quick."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [shlex.split(line, comments=True) for block in BLOCKS for line in block.splitlines()]
OURS = [command[1:] for command in COMMANDS if command[0].endswith("fourfold")]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def test_every_make_command_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    told = {command[1] for command in COMMANDS if command[0] == "make"}
    assert {"demo", "test"} <= told
    assert told <= targets


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CONTRIBUTING.md",
        "examples/quickstart/README.md",
        "docs/retrieval.md",
        "docs/tuning.md",
        "docs/judge.md",
    ],
)
def test_every_file_that_is_linked_is_there(name: str) -> None:
    page = ROOT / name
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_study_that_is_named_is_there() -> None:
    named = {word for command in OURS for word in command if word.endswith(".yaml") and "/" in word}
    assert named
    assert all((ROOT / path).is_file() for path in named)


def test_the_commands_for_a_users_own_pdfs_work_in_that_order(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    fourfold = Path(sys.executable).with_name("fourfold")

    def call(arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [fourfold, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    init, check, run = (next(c for c in OURS if c[0] == name) for name in ("init", "check", "run"))
    assert call(init).returncode == 0
    # The study asks for the one thing that only its user can give.
    told = call(check)
    assert (told.returncode, "questions.jsonl" in told.stderr) == (2, True)
    shutil.copy(ROOT / "examples" / "quickstart" / "questions.jsonl", tmp_path)
    assert call(check).returncode == 0
    assert run[1] == init[-1] == check[1]
