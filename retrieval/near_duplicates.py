"""Chunks that nearly repeat another one: two of them among the contexts say one thing twice.

Candidates are found by MinHash, and the Jaccard index of their word 5-grams decides (Lee et al. 2022, section 4.2, with
the limit of .8 that they take).
"""

from __future__ import annotations

from collections.abc import Sequence

from datasketch import MinHash, MinHashLSH

from fourfold.text import squad_tokens
from fourfold.types import Chunk

LIMIT = 0.8
_WIDTH = 5
_PERMUTATIONS = 128
# Lower than the limit, so that a pair at it is missed once in 20,000: (1 - .8^5)^25, with 25 bands of 5 rows.
_CANDIDATE_LIMIT = 0.5


def find_near_duplicates(chunks: Sequence[Chunk]) -> dict[str, str]:
    """Per id of a chunk that nearly repeats an earlier one, the id of the first that it repeats.

    Chunks that overlap in their document are no duplicates: the overlap is wanted. Chunks of fewer than 5 words repeat
    each other where all their words are the same.
    """
    index = MinHashLSH(threshold=_CANDIDATE_LIMIT, num_perm=_PERMUTATIONS)
    kept: dict[str, tuple[int, Chunk, frozenset[tuple[str, ...]]]] = {}
    found: dict[str, str] = {}
    for place, chunk in enumerate(chunks):
        own = _shingles(chunk.text)
        if not own:
            continue
        sketch = MinHash(num_perm=_PERMUTATIONS)
        sketch.update_batch([" ".join(shingle).encode() for shingle in sorted(own)])
        near = [kept[name] for name in index.query(sketch)]
        repeated = [
            (at, other.chunk_id)
            for at, other, its in near
            if not _overlap(chunk, other) and _jaccard(own, its) >= LIMIT
        ]
        if repeated:
            found[chunk.chunk_id] = min(repeated)[1]
        else:
            index.insert(chunk.chunk_id, sketch)
            kept[chunk.chunk_id] = place, chunk, own
    return found


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    tokens = squad_tokens(text)
    width = min(_WIDTH, len(tokens))
    return frozenset(tuple(tokens[i : i + width]) for i in range(len(tokens) - width + 1)) if tokens else frozenset()


def _overlap(a: Chunk, b: Chunk) -> bool:
    return a.doc_id == b.doc_id and a.start < b.end and b.start < a.end


def _jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    return len(a & b) / len(a | b)
