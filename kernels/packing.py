"""Sequences that share beginnings, laid out in rows of a token budget: what is shared stands, and is computed, once.

A group is a tree of token counts: a document (a node without children), a shared context with its suffixes (a node
with G children), or deeper. Laid out, a node stands before its children, and each child sees its ancestors and itself.
A context of P tokens with G suffixes of R takes P + G·R tokens where unshared sequences take G·(P + R).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fourfold.kernels.segment_attention.table import SegmentTable, TileSize, make_table
from fourfold.kernels.segment_attention.tiles import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Tokens that all sequences below it have in common."""

    n_tokens: int
    children: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """Itself and all below it, each before its children: the order in which a row holds them."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: which groups it holds, and where.

    The tokens of group `groups[i]` stand from `starts[i]` on, its nodes in the order of `Node.walk` without a gap; the
    table's segments are those nodes, group by group.
    """

    groups: tuple[int, ...]
    starts: tuple[int, ...]
    table: SegmentTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Rows of one budget, and what they save."""

    rows: tuple[Row, ...]
    n_tokens: int
    """Tokens of a row, the budget."""
    n_used: int
    """Tokens in all rows that are no padding."""
    n_unshared: int
    """Tokens of the same sequences, each with its own copy of what it shares."""

    @property
    def utilisation(self) -> float:
        """Share of the rows' tokens that is no padding, above 0 up to 1."""
        return self.n_used / (len(self.rows) * self.n_tokens)


def pack(groups: Sequence[Node], *, n_tokens: int, tile: TileSize = 128) -> Packing:
    """Fill rows of `n_tokens` tokens with whole groups, the largest first, each in the first row with room.

    Rows stand in the order of their first group, groups in a row in the order given; there is no chance in it.

    Args:
        groups: one or more.
        n_tokens: tokens of a row; every row has this many, the rest is padding at its end.
        tile: as in `make_table`.

    Raises:
        ValueError: no groups, a node without tokens, a group that no row can hold.
    """
    if not groups:
        raise ValueError("groups is empty: there is nothing to pack")
    sizes = [_size(number, group, n_tokens) for number, group in enumerate(groups)]
    rows: list[list[int]] = []
    room: list[int] = []
    for number in sorted(range(len(groups)), key=lambda number: -sizes[number]):
        row = next((row for row, left in enumerate(room) if left >= sizes[number]), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(n_tokens)
        rows[row].append(number)
        room[row] -= sizes[number]
    return Packing(
        rows=tuple(_lay_out(sorted(row), groups, n_tokens, tile) for row in sorted(rows, key=min)),
        n_tokens=n_tokens,
        n_used=sum(sizes),
        n_unshared=sum(_n_unshared(group, 0) for group in groups),
    )


def _size(number: int, group: Node, n_tokens: int) -> int:
    size = 0
    for node in group.walk():
        if node.n_tokens < 1:
            raise ValueError(f"groups[{number}] has a node with n_tokens = {node.n_tokens}: must be at least 1")
        size += node.n_tokens
    if size > n_tokens:
        raise ValueError(f"groups[{number}] has {size} tokens: must have at most n_tokens = {n_tokens}, a row's budget")
    return size


def _n_unshared(node: Node, above: int) -> int:
    path = above + node.n_tokens
    return sum(_n_unshared(child, path) for child in node.children) if node.children else path


def _lay_out(row: Sequence[int], groups: Sequence[Node], n_tokens: int, tile: TileSize) -> Row:
    segments: list[Span] = []
    reads: list[tuple[int, ...]] = []

    def add(node: Node, start: int, ancestors: tuple[int, ...]) -> int:
        own = len(segments)
        segments.append((start, start + node.n_tokens))
        reads.append(ancestors)
        end = start + node.n_tokens
        for child in node.children:
            end = add(child, end, (*ancestors, own))
        return end

    starts = []
    end = 0
    for number in row:
        starts.append(end)
        end = add(groups[number], end, ())
    return Row(groups=tuple(row), starts=tuple(starts), table=make_table(segments, reads, n_tokens=n_tokens, tile=tile))
