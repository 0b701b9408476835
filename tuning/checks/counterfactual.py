"""RGB's counterfactual questions: facts of the world with passages that say something else.

Source: Chen et al. 2024, "Benchmarking Large Language Models in Retrieval-Augmented Generation" (arXiv 2309.01431),
file en_fact.json. Its licence (CC BY-NC-SA 4.0) allows evaluation; the file is the user's.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fourfold.errors import QuestionError
from fourfold.tuning.checks.reliance import Edited

_N_PASSAGES = 3
_SHOWN = 3


class _Line(BaseModel):
    # The file has fields beside these, which are of other tests.
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    query: str = Field(min_length=1)
    answer: str | list[str | list[str]]
    fakeanswer: str | list[str | list[str]]
    positive_wrong: list[str] = Field(min_length=1)


def read_counterfactual(file: Path) -> list[Edited]:
    """Every item, with up to three passages that state the false answer.

    Raises:
        QuestionError: the file cannot be read, or lines are of another form; all of them told together.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionError(
            "the counterfactual questions cannot be read",
            seen=f"{file}: {error}",
            expected="a text file in UTF-8, one JSON object a line",
            hint="correct checks.counterfactual",
        ) from None
    found, wrong = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_edited(_Line.model_validate(json.loads(line))))
        except (ValidationError, json.JSONDecodeError) as error:
            wrong.append(f"line {number}: {' '.join(str(error).split())[:80]}")
    if wrong or not found:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise QuestionError(
            "the counterfactual questions cannot be used",
            seen=f"{file.name}: {'; '.join(wrong[:_SHOWN]) or 'no lines'}{more}",
            expected="lines with id, query, answer, fakeanswer and positive_wrong, as RGB's en_fact.json",
            hint="correct these lines, or leave checks.counterfactual out",
        )
    return found


def _edited(line: _Line) -> Edited:
    return Edited(
        question_id=f"rgb-{line.id}",
        question=line.query,
        passages=tuple(line.positive_wrong[:_N_PASSAGES]),
        old=_wordings(line.answer),
        new=_wordings(line.fakeanswer),
        kind="given",
    )


def _wordings(answer: str | list[str | list[str]]) -> tuple[str, ...]:
    """All of them: the file nests the spellings of a date once more."""
    given = [answer] if isinstance(answer, str) else answer
    return tuple(wording for one in given for wording in ([one] if isinstance(one, str) else one))
