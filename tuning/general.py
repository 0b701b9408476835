"""General instructions from a user's file, mixed into the training rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fourfold.errors import QuestionError
from fourfold.llm.port import Message
from fourfold.tuning.rows import Draft

_SHOWN = 5


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    prompt: str = Field(min_length=1)
    answer: str = Field(min_length=1)


def read_general(path: Path) -> tuple[Draft, ...]:
    """Every line as a draft: the prompt is the user's turn, without the study's instructions.

    Raises:
        QuestionError: no such file, or lines that are none; all of them told together.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionError(
            "the general instructions cannot be read",
            seen=f"{path}: {error}",
            expected="a text file in UTF-8, one JSON object a line",
            hint="correct tuning.general.file",
        ) from None
    drafts: list[Draft] = []
    wrong: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            read = _Line.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            wrong.append(f"line {number}: {f'{where}: ' if where else ''}{first['msg']}")
            continue
        drafts.append(
            Draft(
                question_id=f"general-{number}",
                form="general",
                chat=(Message(role="user", content=read.prompt),),
                answer=read.answer,
            )
        )
    if wrong or not drafts:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise QuestionError(
            "the general instructions cannot be used",
            seen=f"{path.name}: {'; '.join(wrong[:_SHOWN]) or 'no lines'}{more}",
            expected='lines such as {"prompt": "…", "answer": "…"}',
            hint="correct these lines of tuning.general.file",
        )
    return tuple(drafts)


def draw_general(drafts: Sequence[Draft], *, n_rows: int, share: float, seed: int) -> tuple[Draft, ...]:
    """So many that they make up `share` of all rows beside `n_rows` of the study's own.

    Raises:
        QuestionError: the file holds fewer.
    """
    n_wanted = round(n_rows * share / (1 - share))
    if n_wanted > len(drafts):
        raise QuestionError(
            "there are fewer general instructions than the share asks for",
            seen=f"{len(drafts)} in the file, {n_wanted} wanted beside {n_rows} rows",
            expected="at least as many",
            hint="lower tuning.general.share, or name a larger file",
        )
    return tuple(random.Random(seed).sample(list(drafts), n_wanted))  # noqa: S311 (a choice, not a secret)
