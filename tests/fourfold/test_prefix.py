"""Groups by hand, and against trying every partition."""

from __future__ import annotations

import random
from itertools import product

import pytest

from fourfold.llm.prefix import Group, TokenIds, group_by_prefix, pack


def ids(text: str) -> TokenIds:
    return tuple(ord(letter) for letter in text)


def groups_of(*texts: str, minimum: int = 2) -> list[tuple[int, tuple[int, ...]]]:
    return [(group.n_shared, group.members) for group in group_by_prefix([ids(t) for t in texts], minimum=minimum)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["abcx"], [(0, (0,))]),
        (["abcx", "zbcx"], [(0, (0, 1))]),
        (["abcx", "abcy"], [(3, (0, 1))]),
        # In lexicographic order, the rest behind.
        (["zz", "abcy", "q", "abcx"], [(3, (3, 1)), (0, (0, 2))]),
        # One token less than the minimum.
        (["ax", "ay"], [(0, (0, 1))]),
        # A row's last token is its own, be another longer or the same.
        (["abcd", "abcdef"], [(3, (0, 1))]),
        (["abcd", "abcd", "abcd"], [(3, (0, 1, 2))]),
        (["ab", "abc"], [(0, (0, 1))]),
        # 3 × 2 saved by one group of four, 2 × 4 by two groups of two, and the other way round.
        (["ab123x", "ab123y", "ab456x", "ab456y"], [(5, (0, 1)), (5, (2, 3))]),
        (["abcde1x", "abcde1y", "abcde2x", "abcde2y"], [(5, (0, 1, 2, 3))]),
        ([], []),
    ],
)
def test_groups_by_hand(texts: list[str], expected: list[tuple[int, tuple[int, ...]]]) -> None:
    assert groups_of(*texts) == expected


def saved(groups: list[Group]) -> int:
    return sum((len(group.members) - 1) * group.n_shared for group in groups)


def best_by_trying(rows: list[TokenIds], minimum: int) -> int:
    """The most that any assignment of rows to groups saves."""
    best = 0
    for labels in product(range(len(rows)), repeat=len(rows)):
        total = 0
        for label in set(labels):
            members = [row for row, of in zip(rows, labels, strict=True) if of == label]
            shared = min(len(row) for row in members) - 1
            while len({row[:shared] for row in members}) > 1:
                shared -= 1
            total += (len(members) - 1) * shared if shared >= minimum else 0
        best = max(best, total)
    return best


@pytest.mark.parametrize("seed", range(20))
def test_no_other_partition_saves_more(seed: int) -> None:
    draw = random.Random(seed)
    rows = [tuple(draw.choices((1, 2), k=draw.randint(1, 7))) for _ in range(5)]
    groups = group_by_prefix(rows, minimum=2)
    assert saved(groups) == best_by_trying(rows, 2)
    assert sorted(at for group in groups for at in group.members) == list(range(5))
    for group in groups:
        assert len({rows[at][: group.n_shared] for at in group.members}) == 1
        assert all(group.n_shared < len(rows[at]) for at in group.members)


def test_thousands_of_rows_that_begin_each_other_are_grouped() -> None:
    # As deep a tree as there can be.
    rows = [(7,) * length for length in range(1, 3000)]
    assert sum(len(group.members) for group in group_by_prefix(rows, minimum=32)) == len(rows)


def test_packs_are_consecutive_and_within_the_budget() -> None:
    assert pack([3, 4, 5, 20, 1, 1], budget=8) == [[0, 1], [2], [3], [4, 5]]
    assert pack([], budget=8) == []
