from __future__ import annotations

import json
from pathlib import Path

import pytest

from fourfold.errors import QuestionError
from fourfold.tuning.general import draw_general, read_general

LINES = [{"prompt": f"Name {n}", "answer": f"{n}"} for n in range(10)]


def write(folder: Path, lines: list[object]) -> Path:
    path = folder / "general.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_a_line_is_a_plain_turn_of_the_user(tmp_path: Path) -> None:
    first, *_ = read_general(write(tmp_path, [*LINES, ""]))
    assert (first.form, first.question_id, first.answer) == ("general", "general-1", "0")
    assert [(message.role, message.content) for message in first.chat] == [("user", "Name 0")]


def test_bad_lines_are_named_together(tmp_path: Path) -> None:
    path = write(tmp_path, [LINES[0], {"prompt": "x"}, "{", {"prompt": " ", "answer": "y"}, {**LINES[1], "z": 1}])
    with pytest.raises(QuestionError) as caught:
        read_general(path)
    for told in ("line 2: answer", "line 3", "line 4: prompt", "line 5: z"):
        assert told in str(caught.value)


def test_an_empty_or_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="no lines"):
        read_general(write(tmp_path, []))
    with pytest.raises(QuestionError, match="cannot be read"):
        read_general(tmp_path / "none.jsonl")


@pytest.mark.parametrize(("n_rows", "share", "n"), [(8, 0.2, 2), (30, 0.25, 10), (4, 0.5, 4), (1, 0.01, 0)])
def test_the_share_is_of_all_rows(tmp_path: Path, n_rows: int, share: float, n: int) -> None:
    drafts = read_general(write(tmp_path, list(LINES)))
    drawn = draw_general(drafts, n_rows=n_rows, share=share, seed=0)
    assert len(drawn) == len(set(drawn)) == n


def test_the_seed_decides_which(tmp_path: Path) -> None:
    drafts = read_general(write(tmp_path, list(LINES)))
    drawn = [draw_general(drafts, n_rows=10, share=0.2, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_file_too_small_for_the_share_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="10 in the file, 11 wanted beside 11 rows"):
        draw_general(read_general(write(tmp_path, list(LINES))), n_rows=11, share=0.5, seed=0)
