"""How near each test question stands to what was tuned on (fairness rule 2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from fourfold.types import Question, Stratum


def assign_strata(test: Sequence[Question], tuning: Sequence[Question]) -> tuple[Question, ...]:
    """The test questions with their stratum: the nearest that any tuning question gives.

    *fact asked*: a tuning quote overlaps the test quote. *passage tuned*: same lowest section, no overlap. *document
    tuned*: same document, other section. *document unseen*: none of these.
    """
    return tuple(dataclasses.replace(question, stratum=_stratum(question, tuning)) for question in test)


def _stratum(question: Question, tuning: Sequence[Question]) -> Stratum:
    same_document = [other for other in tuning if other.doc_id == question.doc_id]
    if any(other.start < question.end and question.start < other.end for other in same_document):
        return "fact asked"
    if any(other.section == question.section for other in same_document):
        return "passage tuned"
    return "document tuned" if same_document else "document unseen"
