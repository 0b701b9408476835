"""Tuning questions that nearly repeat a test question are taken out and listed (fairness rule 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fourfold.errors import FairnessError
from fourfold.text import squad_tokens
from fourfold.types import LeakedPair, Question

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
_SHINGLE = 3


def find_leaks(
    tuning: Sequence[Question],
    test: Sequence[Question],
    embed: Embed,
    *,
    jaccard_limit: float,
    cosine_limit: float,
) -> tuple[LeakedPair, ...]:
    """The tuning questions that nearly repeat a test question, each with the test question nearest to it.

    Compared is question + reference: by the Jaccard index of their sets of word 3-grams (computed, where MinHash
    would estimate it: tuning × test pairs are few), and by the cosine of their embeddings. Either limit suffices.

    Args:
        tuning: generated questions.
        test: test questions.
        embed: texts to unit vectors [N, D].
        jaccard_limit: 0 to 1.
        cosine_limit: 0 to 1.
    """
    if not tuning or not test:
        return ()
    texts = [[f"{item.question} {item.reference}" for item in split] for split in (tuning, test)]
    sets = [[shingles(text) for text in split] for split in texts]
    cosines = embed(texts[0]) @ embed(texts[1]).T
    leaks = []
    for row, item in enumerate(tuning):
        jaccards = np.array([jaccard(sets[0][row], other) for other in sets[1]])
        excess = np.maximum(jaccards - jaccard_limit, cosines[row] - cosine_limit)
        nearest = int(excess.argmax())
        if excess[nearest] >= 0:
            leaks.append(
                LeakedPair(
                    tuning_question=item.question,
                    tuning_reference=item.reference,
                    test_question_id=test[nearest].question_id,
                    test_question=test[nearest].question,
                    jaccard=float(jaccards[nearest]),
                    cosine=float(cosines[row, nearest]),
                )
            )
    return tuple(leaks)


def require_few_leaks(leaks: Sequence[LeakedPair], n_tuning: int, *, limit: float) -> None:
    """Stop the study where too large a share of the tuning questions was taken out.

    Raises:
        FairnessError: more than `limit` of `n_tuning`, with the pairs.
    """
    if n_tuning and len(leaks) / n_tuning > limit:
        pairs = "\n            ".join(
            f"{leak.tuning_question!r} ~ {leak.test_question!r} (Jaccard {leak.jaccard:.2f}, cosine {leak.cosine:.2f})"
            for leak in leaks
        )
        raise FairnessError(
            "tuning questions repeat test questions (fairness rule 2)",
            seen=f"{len(leaks)} of {n_tuning}:\n            {pairs}",
            expected=f"at most {limit:.0%}",
            hint="write test questions of your own words, or raise questions.leak_limit and say so",
        )


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """The word 3-grams of a text after SQuAD's normalisation; of a shorter one its only shingle, of none nothing."""
    tokens = squad_tokens(text)
    width = min(_SHINGLE, len(tokens))
    return frozenset(tuple(tokens[i : i + width]) for i in range(len(tokens) - width + 1)) if tokens else frozenset()


def jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """Shared / all; 0 for two empty sets."""
    union = len(a | b)
    return len(a & b) / union if union else 0.0
