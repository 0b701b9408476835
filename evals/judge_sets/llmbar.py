"""LLMBar: pairs of answers to an instruction of which one follows it, objectively.

Source: Zeng et al. 2023, "Evaluating Large Language Models at Evaluating Instruction Following" (arXiv 2310.07641). The
adversarial parts' worse answers look better (longer, more engaging), which brings a judge's length bias to light.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fourfold.evals.judge_sets.item import LabelledItem
from fourfold.evals.judge_sets.reading import PublicRow, read_json_rows


class _Row(PublicRow):
    input: str
    output_1: str
    output_2: str
    label: Literal[1, 2]


def read_llmbar(path: Path) -> tuple[LabelledItem, ...]:
    """One item per row of one part's file; the part is named by the file ("llmbar_Natural.json" is "Natural").

    Raises:
        InputError: the file is not in the published form.
    """
    part = path.stem.rpartition("_")[2]
    return tuple(
        LabelledItem(
            item_id=f"{part}-{number}",
            group=part,
            cluster=row.input,
            criterion="overall",
            question=row.input,
            references=(),
            contexts=(),
            answers=(row.output_1, row.output_2),
            label="first" if row.label == 1 else "second",
            unlabelled=None,
        )
        for number, row in enumerate(read_json_rows(path, _Row))
    )
