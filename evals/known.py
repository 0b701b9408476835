"""Strata by what is known where: closed-book to the base model, and in one document or several.

Knowledge discovery is after Balaguer et al. 2024, "RAG vs Fine-tuning: Pipelines, Tradeoffs, and a Case Study on
Agriculture": for questions whose fact stands in several documents, is an arm's answer similar, somewhat similar or not
similar to the reference? Where we differ: there a language model judges the similarity; here a reference metric is cut
at 2/3 and 1/3. The shares are not to be set beside the paper's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fourfold.errors import InputError
from fourfold.evals.cluster_robust import cluster_mean
from fourfold.text import contains_run, squad_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fourfold.evals.estimate import Estimate
    from fourfold.types import Block, Chunk, Question

SIMILAR, SOMEWHAT = 2 / 3, 1 / 3

SimilarityClass = Literal["similar", "somewhat similar", "not similar"]


def known_closed_book(base_scores: Mapping[str, float | None], *, threshold: float) -> dict[str, bool | None]:
    """Per question id, whether the base model answers it without contexts; None where its answer failed.

    Args:
        base_scores: the base arm's score per question id, in [0, 1]; None where it failed.
        threshold: score from which the question counts as known, in (0, 1].

    Raises:
        InputError: the threshold is outside (0, 1], or a score is NaN or infinite.
    """
    # The negation also holds for NaN.
    if not 0 < threshold <= 1:
        raise InputError(
            "the score from which a question is known is wrong",
            seen=threshold,
            expected="a number above 0, at most 1",
            hint="0.5 asks for half of the key facts",
        )
    checked = {key: _finite(score) for key, score in base_scores.items()}
    return {key: None if score is None else score >= threshold for key, score in checked.items()}


def other_documents(questions: Sequence[Question], passages: Sequence[Block | Chunk]) -> dict[str, tuple[str, ...]]:
    """Per question id, the other documents that hold its fact, in alphabetical order; empty: one document holds it.

    A document holds it if one of its passages states every key fact: one of the fact's strings stands in the passage as
    a run of tokens (SQuAD's normalisation), as in key-fact recall; without key facts the reference is the one fact. A
    short string ("40") also stands where it means something else, so this is an upper bound.

    Args:
        questions: with key facts and the document of their gold.
        passages: of every document, blocks or chunks.
    """
    tokens = [(passage.doc_id, squad_tokens(passage.text)) for passage in passages]
    read = [(doc_id, words, frozenset(words)) for doc_id, words in tokens]
    found = {}
    for question in questions:
        facts = [[squad_tokens(s) for s in fact] for fact in question.key_facts or ((question.reference,),)]
        elsewhere: set[str] = set()
        for doc_id, words, distinct in read:
            if doc_id == question.doc_id or doc_id in elsewhere:
                continue
            # The sets first: they rule out nearly every passage, and looking for runs is slow.
            if all(any(distinct.issuperset(run) and contains_run(words, run) for run in fact) for fact in facts):
                elsewhere.add(doc_id)
        found[question.question_id] = tuple(sorted(elsewhere))
    return found


def similarity_class(score: float | None) -> SimilarityClass | None:
    """The class of a token F1 or key-fact recall: from 2/3 similar, from 1/3 somewhat similar; None for None.

    Raises:
        InputError: the score is NaN or infinite.
    """
    value = _finite(score)
    if value is None:
        return None
    if value >= SIMILAR:
        return "similar"
    return "somewhat similar" if value >= SOMEWHAT else "not similar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """One arm's share of each class, in [0, 1], with the cluster-robust interval; the three values add up to 1."""

    similar: Estimate
    somewhat_similar: Estimate
    not_similar: Estimate


def knowledge_discovery(
    scores: Mapping[str, float | None], clusters: Mapping[str, str], *, level: float = 0.95
) -> Discovery:
    """Shares of the similarity classes over the questions given.

    Args:
        scores: one arm's token F1 or key-fact recall per question id, of the questions whose fact stands in several
            documents (or of a stratum of them); None where it failed.
        clusters: cluster per question id, also of further questions.
        level: coverage of each interval by itself, in (0, 1).

    Returns:
        The shares; all None where no question has a score.

    Raises:
        InputError: a question has no cluster, a score is NaN or infinite, or `level` is outside (0, 1).
    """
    if lacking := [key for key in scores if key not in clusters]:
        raise InputError(
            "a question has no cluster",
            seen=", ".join(lacking[:3]),
            expected="a cluster for every question",
            hint="take clusters and scores from the same questions",
        )
    classes = [similarity_class(score) for score in scores.values()]
    names = [clusters[key] for key in scores]

    def share(kind: SimilarityClass) -> Estimate:
        return cluster_mean([None if one is None else float(one == kind) for one in classes], names, level=level)

    return Discovery(
        similar=share("similar"), somewhat_similar=share("somewhat similar"), not_similar=share("not similar")
    )


def _finite(score: float | None) -> float | None:
    if score is not None and not math.isfinite(score):
        raise InputError(
            "a score is not a number",
            seen=score,
            expected="a finite number, or None for a missing one",
            hint="give None where a score is undefined",
        )
    return score
