"""How close answer and reference are in meaning: the cosine of their embeddings.

Source: Risch et al. 2021, "Semantic Answer Similarity for Evaluating Question Answering Models", the bi-encoder form.
It does not tell a right number from a wrong one, so it stands beside the metrics that do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fourfold.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

UNIT = 1e-3
# bfloat16 keeps 8 bits: lengths of rounded unit vectors differ from 1 by up to about this.


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """One answer's similarity, in [0, 1]. `value` is None exactly where `reason` says why it is undefined."""

    value: float | None
    reason: str | None


def embedding_similarity(
    answers: Sequence[str | None],
    references: Sequence[str],
    *,
    embed: Callable[[Sequence[str]], NDArray[np.floating]],
) -> list[Similarity]:
    """Cosine of each answer with its reference, clipped to [0, 1]; 0 for an answer without a word.

    An embedder gives an empty text a vector too, one that means nothing. To leave such answers out would lift the mean
    of an arm that says nothing.

    A cosine below 0 counts as 0: directions apart by more than a right angle are not more unlike in meaning, and the
    other metrics' scale starts at 0, too. Above 1 there is rounding only.

    Args:
        answers: one per question; None where there is none.
        references: one per question.
        embed: N texts to [N, D] vectors of length 1; called once at most, each text given once.

    Returns:
        One similarity per question, in the order given.

    Raises:
        InputError: the two differ in length, or the vectors are not N of length 1.
    """
    if len(answers) != len(references):
        raise InputError(
            "answers and references do not match",
            seen=f"{len(answers)} answers, {len(references)} references",
            expected="one reference per answer",
            hint="take both from the same list of questions",
        )
    pairs = [
        (answer, reference)
        for answer, reference in zip(answers, references, strict=True)
        if answer is not None and answer.strip() and reference.strip()
    ]
    places = {text: place for place, text in enumerate(dict.fromkeys(text for pair in pairs for text in pair))}
    vectors = _checked(embed(list(places)), len(places)) if places else np.zeros((0, 0))

    def cosine(answer: str | None, reference: str) -> Similarity:
        if answer is None or not reference.strip():
            return Similarity(value=None, reason="no answer" if answer is None else "the reference is empty")
        if not answer.strip():
            return Similarity(value=0.0, reason=None)
        value = float(vectors[places[answer]] @ vectors[places[reference]])
        return Similarity(value=min(max(value, 0.0), 1.0), reason=None)

    return [cosine(answer, reference) for answer, reference in zip(answers, references, strict=True)]


def _checked(vectors: NDArray[np.floating], n: int) -> NDArray[np.float64]:
    wide = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(wide, axis=-1)
    if wide.ndim == 2 and len(wide) == n and np.all(np.abs(lengths - 1) <= UNIT):
        return wide
    raise InputError(
        "the embedder's vectors cannot be compared",
        seen=f"an array of shape {wide.shape}"
        + (f", lengths from {lengths.min():.4g} to {lengths.max():.4g}" if lengths.size else ""),
        expected=f"{n} vectors of length 1",
        hint="give an embedder that normalises its vectors",
    )
