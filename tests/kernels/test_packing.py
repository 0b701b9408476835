from __future__ import annotations

import random
from itertools import pairwise

import pytest
import torch

from fourfold.kernels.packing import Node, pack
from fourfold.kernels.segment_attention import SegmentTable, make_table


def node(n_tokens: int, *children: Node) -> Node:
    return Node(n_tokens=n_tokens, children=children)


# A context of 5 with a suffix of 2 and a branch of 3 that ends in 1 or 1; a document of 3.
TREE = node(5, node(2), node(3, node(1), node(1)))
DOCUMENT = node(3)


def random_tree(rng: random.Random, depth: int) -> Node:
    n_children = rng.randint(0, 3) if depth else 0
    return node(rng.randint(1, 40), *(random_tree(rng, depth - 1) for _ in range(n_children)))


def seen_by_runs(table: SegmentTable) -> torch.Tensor:
    """[T, T]: how often query i sees key j, by the forward table."""
    seen = torch.zeros(table.n_tokens, table.n_tokens, dtype=torch.int32)
    offsets = table.run_offsets.tolist()
    for (start, end), (first, last) in zip(table.segments.tolist(), pairwise(offsets), strict=True):
        for key_start, key_end, causal in table.runs[first:last].tolist():
            block = torch.ones(end - start, key_end - key_start, dtype=torch.int32)
            seen[start:end, key_start:key_end] += block.tril() if causal else block
    return seen


def seen_by_entries(table: SegmentTable) -> torch.Tensor:
    """The same, by the reverse table."""
    seen = torch.zeros(table.n_tokens, table.n_tokens, dtype=torch.int32)
    for key_start, key_end, first, last, _ in table.key_items.tolist():
        for start, end, causal in table.key_entries[first:last].tolist():
            queries, keys = torch.arange(start, end)[:, None], torch.arange(key_start, key_end)[None]
            seen[start:end, key_start:key_end] += ((keys <= queries) | (causal == 0)).int()
    return seen


def test_a_row_is_laid_out_by_hand() -> None:
    packing = pack([TREE, DOCUMENT], n_tokens=20)
    (row,) = packing.rows
    assert (row.groups, row.starts) == ((0, 1), (0, 12))
    table = row.table
    assert table.segments.tolist() == [[0, 5], [5, 7], [7, 10], [10, 11], [11, 12], [12, 15]]
    assert table.position_ids.tolist() == [0, 1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 8, 0, 1, 2, 0, 0, 0, 0, 0]
    assert table.predictors.tolist() == [-1, 0, 1, 2, 3, 4, 5, 4, 7, 8, 9, 9, -1, 12, 13, -1, -1, -1, -1, -1]
    assert table.branch_points.tolist() == [-1, 4, 4, 9, 9, -1]
    assert table.multiplicity.tolist() == [3, 3, 3, 3, 3, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert table.runs[8:11].tolist() == [[0, 5, 0], [7, 10, 0], [11, 12, 1]]
    assert (packing.n_used, packing.n_unshared, packing.utilisation) == (15, 7 + 9 + 9 + 3, 0.75)


def test_tables_are_32_bit_and_contiguous_and_move_together() -> None:
    table = pack([TREE], n_tokens=12).rows[0].table
    names = [name for name in SegmentTable.__slots__ if isinstance(getattr(table, name), torch.Tensor)]
    assert len(names) == 10
    assert all(getattr(table, name).dtype == torch.int32 for name in names)
    assert all(getattr(table, name).is_contiguous() for name in names)
    moved = table.to("meta")
    assert {getattr(moved, name).device.type for name in names} == {"meta"}
    assert (moved.n_tokens, moved.n_used) == (12, 12)


def test_the_largest_group_goes_first_and_each_into_the_first_row_with_room() -> None:
    packing = pack([node(n) for n in (3, 7, 5, 2, 6)], n_tokens=10)
    assert [row.groups for row in packing.rows] == [(0, 1), (2,), (3, 4)]
    assert [row.starts for row in packing.rows] == [(0, 3), (0,), (0, 2)]
    assert packing.utilisation == pytest.approx(23 / 30)


def test_a_group_may_fill_its_row() -> None:
    packing = pack([TREE], n_tokens=12)
    assert packing.utilisation == 1
    with pytest.raises(ValueError, match=r"groups\[1\] has 12 tokens: must have at most n_tokens = 11"):
        pack([DOCUMENT, TREE], n_tokens=11)


def test_every_group_stands_once_and_what_is_shared_is_counted() -> None:
    rng = random.Random(0)
    groups = [random_tree(rng, 3) for _ in range(60)]
    packing = pack(groups, n_tokens=2000)
    assert sorted(number for row in packing.rows for number in row.groups) == list(range(60))
    assert sum(int(row.table.multiplicity.sum()) for row in packing.rows) == packing.n_unshared > packing.n_used
    for row in packing.rows:
        lengths = [one.n_tokens for number in row.groups for one in groups[number].walk()]
        assert (row.table.segments[:, 1] - row.table.segments[:, 0]).tolist() == lengths
        assert set(row.starts) <= set(row.table.segments[:, 0].tolist())


@pytest.mark.parametrize("tile", [16, 64])
def test_both_tables_show_each_visible_pair_once(tile: int) -> None:
    rng = random.Random(1)
    groups = [random_tree(rng, 3) for _ in range(4)] + [node(20, node(300), node(9))]
    (row,) = pack(groups, n_tokens=2048, tile=tile).rows  # type: ignore[arg-type]
    forward = seen_by_runs(row.table)
    assert forward.max() == 1
    assert torch.equal(forward, seen_by_entries(row.table))
    # A token sees as many others as stand before it, and itself.
    covered = row.table.multiplicity > 0
    assert torch.equal(forward.sum(1)[covered], row.table.position_ids.long()[covered] + 1)
    assert not forward[~covered].any()


def test_tiles_keep_to_one_segment_and_cover_it() -> None:
    table = pack([TREE, node(70, node(33))], n_tokens=128, tile=16).rows[0].table
    segments = table.segments.tolist()
    starts = [start for segment, (a, b) in enumerate(segments) for start in range(a, b, 16)]
    assert sorted(start for _, start in table.query_tiles.tolist()) == starts
    assert all(segments[segment][0] <= start < segments[segment][1] for segment, start in table.query_tiles.tolist())
    assert sorted(start for start, *_ in table.key_items.tolist()) == starts


def test_long_reverse_lists_are_split_and_their_parts_named_in_order() -> None:
    table = pack([node(20, *[node(100)] * 8)], n_tokens=1024, tile=16).rows[0].table
    parts = [(end, slot) for start, end, _, _, slot in table.key_items.tolist() if start < 20]
    # 820 and 804 queries read the two key tiles of the context; a program takes 256.
    assert sorted(slot for end, slot in parts if end == 16) == [0, 1, 2, 3]
    assert sorted(slot for end, slot in parts if end == 20) == [4, 5, 6, 7]
    assert table.split_tiles.tolist() == [[0, 16, 0, 4], [16, 20, 4, 8]]
    assert table.n_slots == 8
    loads = [sum(b - a for a, b, _ in table.key_entries[i[2] : i[3]].tolist()) for i in table.key_items.tolist()]
    assert max(loads) == 256
    assert loads == sorted(loads, reverse=True)


def test_five_thousand_tiny_documents_are_packed() -> None:
    rng = random.Random(2)
    packing = pack([node(rng.randint(1, 9)) for _ in range(5000)], n_tokens=4096)
    assert packing.utilisation > 0.85
    assert sum(len(row.table.segments) for row in packing.rows) == 5000


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([], "groups is empty"),
        ([DOCUMENT, node(0)], r"groups\[1\] has a node with n_tokens = 0: must be at least 1"),
        ([node(4, node(-2))], r"groups\[0\] has a node with n_tokens = -2"),
    ],
)
def test_groups_that_cannot_be_packed_are_refused(groups: list[Node], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack(groups, n_tokens=100)


@pytest.mark.parametrize(
    ("segments", "reads", "message"),
    [
        ([], [], "segments is empty"),
        ([(0, 4), (4, 4)], [(), ()], r"segments\[1\] = \(4, 4\) is empty"),
        ([(0, 4), (3, 6)], [(), ()], r"segments\[1\] = \(3, 6\) overlaps what precedes: must start from 4 on"),
        ([(-1, 4)], [()], r"segments\[0\] = \(-1, 4\) overlaps what precedes: must start from 0 on"),
        ([(0, 4), (4, 11)], [(), ()], r"segments\[1\] = \(4, 11\) points outside: must end by n_tokens = 10"),
        ([(0, 4)], [], "reads has 0 entries: must have one for each of the 1 segments"),
        ([(0, 4), (4, 8)], [(), (0, 0)], r"reads\[1\] = \(0, 0\): its runs overlap"),
        ([(0, 4), (4, 8)], [(1,), ()], r"reads\[0\] = \(1,\): must be numbers of earlier segments, below 0"),
        ([(0, 4), (4, 8)], [(), (1,)], r"reads\[1\] = \(1,\): must be numbers of earlier segments, below 1"),
        ([(0, 4), (4, 8)], [(), (-1,)], r"reads\[1\] = \(-1,\): must be numbers of earlier segments"),
    ],
)
def test_tables_that_make_no_sense_are_refused(
    segments: list[tuple[int, int]], reads: list[tuple[int, ...]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_table(segments, reads, n_tokens=10)


def test_tile_sizes_are_those_of_the_kernels() -> None:
    with pytest.raises(ValueError, match="tile = 48: must be one of 16, 32, 64, 128"):
        pack([DOCUMENT], n_tokens=8, tile=48)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"n_tokens = 2147483648: must be below 2\^31"):
        make_table([(0, 4)], [()], n_tokens=2**31)
