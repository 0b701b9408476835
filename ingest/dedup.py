"""Near-duplicates within a set of questions: MinHash finds the candidates, the Jaccard index itself decides.

A MinHash estimate alone errs by about sqrt(J (1 - J) / permutations), and on short texts one shared frame ("What is the
…?") is most of the text. So a pair counts only where its computed Jaccard index reaches the limit, and a text with too
few shingles for an index to mean anything counts only where all its tokens are the same.

Source: Broder 1997, "On the resemblance and containment of documents"; Lee et al. 2022, section 4.2 (candidates by
MinHash, then a check of the texts themselves). We differ in word 3-grams, as in the leak check, where they use 5-grams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasketch import MinHash, MinHashLSH

from fourfold.ingest.leakage import jaccard, shingles
from fourfold.text import squad_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 0.8
_PERMUTATIONS = 128
# The candidates are found at a lower similarity than counts, so that a pair at the limit is missed once in 20,000:
# (1 - .8^5)^25, with the 25 bands of 5 rows that datasketch takes for .5.
_CANDIDATE_LIMIT = 0.5
# Under so many tokens a text has at most 3 shingles, and one word more or less moves the index by a quarter or more.
_MIN_TOKENS = 6


class NearDuplicates:
    """A growing set of texts that refuses what nearly repeats one of them."""

    def __init__(self, *, limit: float = LIMIT) -> None:
        self._limit = limit
        self._index = MinHashLSH(threshold=_CANDIDATE_LIMIT, num_perm=_PERMUTATIONS)
        self._shingles: dict[str, frozenset[tuple[str, ...]]] = {}
        self._short: dict[tuple[str, ...], str] = {}

    def add(self, name: str, text: str) -> str | None:
        """Take a text in, unless it nearly repeats one that is in.

        Args:
            name: unique within the set.
            text: question and answer.

        Returns:
            The name of the text that it nearly repeats (of several the most alike, then the first by name); None if
            it was taken in.
        """
        tokens = tuple(squad_tokens(text))
        if len(tokens) < _MIN_TOKENS:
            held = self._short.setdefault(tokens, name)
            return None if held == name else held
        own = shingles(text)
        sketch = MinHash(num_perm=_PERMUTATIONS)
        sketch.update_batch([" ".join(shingle).encode() for shingle in sorted(own)])
        alike = [(-jaccard(own, self._shingles[other]), other) for other in self._index.query(sketch)]
        nearest = min(alike, default=None)
        if nearest is not None and -nearest[0] >= self._limit:
            return str(nearest[1])
        self._index.insert(name, sketch)
        self._shingles[name] = own
        return None


def find_duplicates(texts: Sequence[str], *, limit: float = LIMIT) -> dict[int, int]:
    """Per place of a text that nearly repeats an earlier one, the place of that one; others are not in it."""
    seen = NearDuplicates(limit=limit)
    found = {at: seen.add(f"{at:09}", text) for at, text in enumerate(texts)}
    return {at: int(other) for at, other in found.items() if other is not None}
