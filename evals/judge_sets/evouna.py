"""EVOUNA: five systems' answers to open questions, each judged right or wrong by people.

Source: Wang et al. 2023, "Evaluating Open-QA Evaluation" (NeurIPS, datasets and benchmarks), files NQ.json and TQ.json.
"""

from __future__ import annotations

from pathlib import Path

from fourfold.evals.judge_sets.item import LabelledItem
from fourfold.evals.judge_sets.reading import PublicRow, read_json_rows

SYSTEMS = ("fid", "gpt35", "chatgpt", "gpt4", "newbing")


class _Row(PublicRow):
    question: str
    golden_answer: str | None
    answer_fid: str | None
    judge_fid: bool | None
    answer_gpt35: str | None
    judge_gpt35: bool | None
    answer_chatgpt: str | None
    judge_chatgpt: bool | None
    answer_gpt4: str | None
    judge_gpt4: bool | None
    answer_newbing: str | None
    judge_newbing: bool | None
    improper: bool


def read_evouna(path: Path) -> tuple[LabelledItem, ...]:
    """Five items per row, one a system, in the file's order; the golden answer's alternatives stand between slashes.

    A label counts on proper questions only, as in the paper: the authors set the others aside (outdated, ambiguous).

    Raises:
        InputError: the file is not in the published form.
    """
    rows = read_json_rows(path, _Row)
    return tuple(_item(number, row, system) for number, row in enumerate(rows) for system in SYSTEMS)


def _item(number: int, row: _Row, system: str) -> LabelledItem:
    judged: bool | None = getattr(row, f"judge_{system}")
    answer: str | None = getattr(row, f"answer_{system}")
    references = tuple(dict.fromkeys(part.strip() for part in (row.golden_answer or "").split("/") if part.strip()))
    unlabelled = _why_not(row, judged, answer)
    return LabelledItem(
        item_id=f"{number}-{system}",
        group=system,
        cluster=row.question,
        criterion="correctness",
        question=row.question,
        references=references,
        contexts=(),
        answers=(answer or "",),
        label=None if unlabelled else "right" if judged else "wrong",
        unlabelled=unlabelled,
    )


def _why_not(row: _Row, judged: bool | None, answer: str | None) -> str | None:
    if row.improper:
        return "its authors set the question aside"
    if judged is None or answer is None:
        return "nobody judged it"
    return None
