"""BEGIN: responses of dialogue systems to a passage, each judged attributable to it or not.

Source: Dziri et al. 2022, "Evaluating Attribution in Dialogue Systems: The BEGIN Benchmark" (TACL), tab-separated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fourfold.evals.judge_sets.item import LabelledItem
from fourfold.evals.judge_sets.reading import PublicRow, read_tsv_rows


class _Row(PublicRow):
    model_name: str
    data_source: str
    knowledge: str
    message: str
    response: str
    begin_label: Literal["Fully attributable", "Not fully attributable"]


def read_begin(path: Path) -> tuple[LabelledItem, ...]:
    """One item per row, in the file's order; "right" is fully attributable. The cluster is the passage.

    Raises:
        InputError: the file is not in the published form.
    """
    return tuple(
        LabelledItem(
            item_id=str(number),
            group=row.model_name,
            cluster=row.knowledge,
            criterion="attribution",
            question=row.message,
            references=(),
            contexts=(row.knowledge,),
            answers=(row.response,),
            label="right" if row.begin_label == "Fully attributable" else "wrong",
            unlabelled=None,
        )
        for number, row in enumerate(read_tsv_rows(path, _Row))
    )
