"""RAGChecker: pairs of answers by retrieval systems, with two people's preferences each.

Source: Ru et al. 2024, "RAGChecker" (arXiv 2408.08067) and its `human_labeled_data.json`: 280 pairs, each labelled by
two people, on a scale from -2 (the first is much better) to 2 (the second is). Where we differ: a preference has no
strength here, so that its kappa is that of the other sets.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

from fourfold.evals.judge_sets.item import Label, LabelledItem
from fourfold.evals.judge_sets.reading import PublicRow, read_json_rows

Asked = Literal["correctness", "completeness", "overall"]
_Preference = Literal[-2, -1, 0, 1, 2]


class _System(PublicRow):
    model_name: str
    response: str
    critiques: object = None


class _Row(PublicRow):
    instance_id: int
    dataset: str
    query_id: str
    query: str
    gt_answer: str
    model1: _System
    model2: _System
    correctness_label: _Preference
    completeness_label: _Preference
    overall_label: _Preference


def read_ragchecker(path: Path, *, criterion: Asked) -> tuple[LabelledItem, ...]:
    """One item per row, which is one person's preference, in the file's order; both on a pair share its cluster.

    Args:
        path: the file.
        criterion: which of the three preferences.

    Raises:
        InputError: the file is not in the published form.
    """
    seen: Counter[int] = Counter()
    items = []
    for row in read_json_rows(path, _Row):
        seen[row.instance_id] += 1
        preference: int = getattr(row, f"{criterion}_label")
        items.append(
            LabelledItem(
                item_id=f"{row.instance_id}-{seen[row.instance_id]}",
                group=row.dataset,
                cluster=f"{row.dataset} {row.query_id}",
                criterion=criterion,
                question=row.query,
                references=(row.gt_answer,),
                contexts=(),
                answers=(row.model1.response, row.model2.response),
                label=_label(preference),
                unlabelled=None,
            )
        )
    return tuple(items)


def _label(preference: int) -> Label:
    if preference == 0:
        return "tie"
    return "first" if preference < 0 else "second"
