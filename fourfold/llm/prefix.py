"""Which requests begin with the same tokens, so that the beginning is computed once; and what fits into one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows (`members`, places in the caller's order) that share their first `n_shared` tokens; 0 for the rest."""

    n_shared: int
    members: tuple[int, ...]


def group_by_prefix(rows: Sequence[TokenIds], *, minimum: int) -> list[Group]:
    """The one-level partition that saves the most tokens.

    In lexicographic order the rows that share a prefix are neighbours. A run of them is one group, or splits where
    neighbours share least, whichever saves more: (rows − 1) × shared tokens, summed over groups. A group's last token
    is never shared, since every row needs a position of its own to go on from.

    Args:
        rows: token ids, at least one each.
        minimum: shared tokens, at least 1, below which a group is not worth its own pass.

    Returns:
        Groups of two rows or more in lexicographic order, then one of `n_shared` 0 with all others, if any. Depends
        on nothing but the rows; equal rows keep their order.
    """
    assert minimum >= 1
    assert all(rows)
    order = sorted(range(len(rows)), key=lambda at: (rows[at], at))
    common = [_n_common(rows[a], rows[b]) for a, b in pairwise(order)]
    found: list[tuple[int, int, int]] = []
    _split(common, (0, len(order)), minimum, found)
    groups = [Group(n_shared=n_shared, members=tuple(order[start:end])) for start, end, n_shared in found]
    grouped = {at for group in groups for at in group.members}
    alone = tuple(at for at in range(len(rows)) if at not in grouped)
    return [*groups, Group(n_shared=0, members=alone)] if alone else groups


def pack(lengths: Sequence[int], *, budget: int) -> list[list[int]]:
    """Consecutive places whose lengths add up to at most `budget`; one that is longer stands alone."""
    packs: list[list[int]] = []
    total = 0
    for at, length in enumerate(lengths):
        if packs and total + length <= budget:
            packs[-1].append(at)
            total += length
        else:
            packs.append([at])
            total = length
    return packs


def _split(common: Sequence[int], whole: tuple[int, int], minimum: int, found: list[tuple[int, int, int]]) -> None:
    """Append the best groups (start, end, shared) of the sorted rows in `whole`, by a walk over the prefix tree."""
    # Depth first with a stack of its own: the tree may be as deep as there are rows.
    visits: list[tuple[int, int, bool]] = [(*whole, False)]
    best: dict[tuple[int, int], tuple[int, list[tuple[int, int, int]]]] = {}
    while visits:
        start, end, children_done = visits.pop()
        if end - start < 2:
            best[start, end] = (0, [])
            continue
        shared = min(common[start : end - 1])
        cuts = [start, *(at + 1 for at in range(start, end - 1) if common[at] == shared), end]
        parts = list(pairwise(cuts))
        if not children_done:
            visits.append((start, end, True))
            visits.extend((*part, False) for part in parts)
            continue
        saved = (end - start - 1) * shared if shared >= minimum else 0
        saved_by_parts = sum(best[part][0] for part in parts)
        if saved and saved >= saved_by_parts:
            best[start, end] = (saved, [(start, end, shared)])
        else:
            best[start, end] = (saved_by_parts, [group for part in parts for group in best[part][1]])
    found.extend(best[whole][1])


def _n_common(one: TokenIds, other: TokenIds) -> int:
    # Not the last token of either: it stays the row's own.
    limit = min(len(one), len(other)) - 1
    return next((at for at in range(limit) if one[at] != other[at]), limit)
