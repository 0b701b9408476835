"""Citations against the gold span: do the passages that an answer cites hold it?

The mechanical form of ALCE (Gao et al. 2023, "Enabling Large Language Models to Generate Text with Citations"):
where they ask an entailment model whether a passage supports a statement, we ask whether it overlaps the
question's gold span. So a passage elsewhere that states the same fact counts as wrong.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fourfold.evals.cluster_robust import cluster_mean
from fourfold.evals.retrieval_metrics import COVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourfold.evals.estimate import Estimate
    from fourfold.types import Chunk, Question

NOT_RECORDED = "not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationScore:
    """One answer's citations.

    Args:
        precision: share of the cited numbers whose passage overlaps the gold, in [0, 1].
        precision_reason: why it is None.
        recall: 1 if the cited passages together cover at least 80% of the gold, else 0.
        recall_reason: why it is None.
    """

    precision: float | None
    precision_reason: str | None
    recall: float | None
    recall_reason: str | None


def score_citations(question: Question, shown: Sequence[Chunk], cited: Sequence[int] | None) -> CitationScore:
    """Score one answer's citations; [k] cites the k-th passage shown, from 1.

    A number that is cited twice counts once, one that no passage has counts as wrong. Recall is that of the answer,
    as read by a person who follows its citations: where no passage shown holds the gold it is 0.

    Args:
        question: with the gold span.
        shown: the passages in the prompt, in its order.
        cited: the numbers that the answer cites; None where nobody recorded them.

    Returns:
        None in both, "not recorded", without a record, and where the question has no gold span (nothing answers it);
        precision is None where nothing is cited.
    """
    if cited is None or question.end <= question.start:
        reason = NOT_RECORDED if cited is None else "the question has no gold span"
        return CitationScore(precision=None, precision_reason=reason, recall=None, recall_reason=reason)
    numbers = set(cited)
    overlaps = [_overlap(question, shown[k - 1]) if 1 <= k <= len(shown) else set() for k in numbers]
    covered = set[int]().union(*overlaps)
    return CitationScore(
        precision=sum(1 for overlap in overlaps if overlap) / len(numbers) if numbers else None,
        precision_reason=None if numbers else "the answer cites nothing",
        recall=float(bool(covered) and len(covered) >= COVER * (question.end - question.start)),
        recall_reason=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationSummary:
    """One arm's means over its answers, each with the cluster-robust interval; "not recorded" without records."""

    precision: Estimate
    recall: Estimate


def summarise_citations(scores: Sequence[CitationScore], clusters: Sequence[str]) -> CitationSummary:
    """Means of what is defined; the rest is missing.

    Args:
        scores: one per question.
        clusters: one cluster per question.

    Raises:
        InputError: the two differ in length.
    """
    return CitationSummary(
        precision=_mean([s.precision for s in scores], [s.precision_reason for s in scores], clusters),
        recall=_mean([s.recall for s in scores], [s.recall_reason for s in scores], clusters),
    )


def _mean(values: Sequence[float | None], reasons: Sequence[str | None], clusters: Sequence[str]) -> Estimate:
    estimate = cluster_mean(values, clusters)
    if estimate.value is not None or not reasons:
        return estimate
    # Every value is missing, so every one has its reason; the most frequent speaks for all.
    return replace(estimate, reason=Counter(reasons).most_common(1)[0][0])


def _overlap(question: Question, passage: Chunk) -> set[int]:
    """Characters of the gold span that a passage holds, as offsets into the document."""
    if passage.doc_id != question.doc_id:
        return set()
    return set(range(max(passage.start, question.start), min(passage.end, question.end)))
