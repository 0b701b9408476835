"""How near tuning questions come to test questions; those that nearly repeat one are taken out (fairness rule 2)."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

from fourfold.errors import FairnessError
from fourfold.text import squad_tokens
from fourfold.types import LeakedPair, Question

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
_SHINGLE = 3
_PERMUTATIONS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestPair:
    """A tuning question with the test question nearest to it.

    `minhash` estimates the Jaccard index, in [0, 1]; `leaks`: it nearly repeats it, and is taken out.
    """

    pair: LeakedPair
    minhash: float
    leaks: bool


def find_nearest(
    tuning: Sequence[Question],
    test: Sequence[Question],
    embed: Embed,
    *,
    jaccard_limit: float,
    cosine_limit: float,
) -> tuple[NearestPair, ...]:
    """For each tuning question the test question nearest to it, and whether it nearly repeats it.

    Compared is question + reference: by the Jaccard index of their sets of word 3-grams (computed, where MinHash
    would estimate it: tuning × test pairs are few), and by the cosine of their embeddings. Either limit suffices; the
    nearest is the one furthest above a limit, or least below.

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
    found = []
    for row, item in enumerate(tuning):
        jaccards = np.array([jaccard(sets[0][row], other) for other in sets[1]])
        excess = np.maximum(jaccards - jaccard_limit, cosines[row] - cosine_limit)
        nearest = int(excess.argmax())
        pair = LeakedPair(
            tuning_question=item.question,
            tuning_reference=item.reference,
            test_question_id=test[nearest].question_id,
            test_question=test[nearest].question,
            jaccard=float(jaccards[nearest]),
            cosine=float(cosines[row, nearest]),
        )
        estimate = _sketch(sets[0][row]).jaccard(_sketch(sets[1][nearest]))
        found.append(NearestPair(pair=pair, minhash=float(estimate), leaks=bool(excess[nearest] >= 0)))
    return tuple(found)


def leakage_table(nearest: Sequence[NearestPair]) -> str:
    """The evidence as CSV, the nearest pairs first: those that were taken out, then by the larger of both figures."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow([*LeakedPair.__slots__, "minhash", "taken_out"])
    for one in sorted(nearest, key=lambda one: (not one.leaks, -max(one.pair.jaccard, one.pair.cosine))):
        cells = dataclasses.asdict(one.pair)
        figures = {name: f"{cells[name]:.4f}" for name in ("jaccard", "cosine")}
        table.writerow([*(cells | figures).values(), f"{one.minhash:.4f}", "yes" if one.leaks else "no"])
    return out.getvalue()


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


def _sketch(own: frozenset[tuple[str, ...]]) -> MinHash:
    sketch = MinHash(num_perm=_PERMUTATIONS)
    sketch.update_batch([" ".join(shingle).encode() for shingle in sorted(own)])
    return sketch
