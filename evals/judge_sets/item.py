"""The one record of a judged answer or pair of answers, whatever set it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Label = Literal["right", "wrong", "first", "second", "tie"]
Criterion = Literal["correctness", "completeness", "overall", "attribution"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledItem:
    """What a person said of one answer ("right", "wrong"), or of two side by side ("first", "second", "tie").

    Args:
        item_id: unique within its file.
        group: what its errors may hang on: the system that answered, or the part of the set.
        cluster: what rises and falls with it: all items on one question share it.
        criterion: what was judged.
        question: what was asked, or the turn that was answered.
        references: answers any one of which is right; empty where the set has none.
        contexts: passages the answer should keep to; empty where the set has none.
        answers: one text, or two where people compared.
        label: what they said; None exactly where `unlabelled` says why it does not count.
        unlabelled: the reason.
    """

    item_id: str
    group: str
    cluster: str
    criterion: Criterion
    question: str
    references: tuple[str, ...]
    contexts: tuple[str, ...]
    answers: tuple[str, ...]
    label: Label | None
    unlabelled: str | None
