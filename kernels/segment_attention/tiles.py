"""The work lists of the Triton kernels: which program takes which queries or keys of a segment table.

A tile never crosses a segment's end, so that a segment's arithmetic does not depend on where it stands in a row nor on
what stands beside it. Lists are sorted by work, most first: the last programs to finish are then the short ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[int, int]
# Query tiles that one program of the dK/dV kernel goes through at most. A context that many suffixes read has the
# longest list: 3,000 tokens read by 8 suffixes of 200 give 37 tiles where a packed document of 1,024 tokens has 8.
MAX_QUERY_TILES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """Rows of the work lists; what the columns mean is said at `SegmentTable`."""

    query_tiles: list[tuple[int, int]]
    key_items: list[tuple[int, int, int, int, int]]
    key_entries: list[tuple[int, int, int]]
    split_tiles: list[tuple[int, int, int, int]]
    n_slots: int


def make_tiles(segments: Sequence[Span], reads: Sequence[Sequence[int]], *, tile: int) -> Tiles:
    """Work lists of a table that `make_table` has checked.

    Args:
        segments: (start, end) of each segment, tokens.
        reads: for each segment the segments that it reads whole, beside itself.
        tile: tokens of a tile.
    """
    readers: list[list[int]] = [[] for _ in segments]
    for reader, read in enumerate(reads):
        for segment in read:
            readers[segment].append(reader)
    key_items: list[tuple[int, int, int, int, int]] = []
    key_entries: list[tuple[int, int, int]] = []
    split_tiles: list[tuple[int, int, int, int]] = []
    n_slots = 0
    for segment, (start, end) in enumerate(segments):
        others = [(*segments[reader], 0) for reader in readers[segment]]
        for key_start in range(start, end, tile):
            key_end = min(key_start + tile, end)
            parts = _split([(key_start, end, 1), *others], tile * MAX_QUERY_TILES)
            if len(parts) > 1:
                split_tiles.append((key_start, key_end, n_slots, n_slots + len(parts)))
            for part in parts:
                slot = -1 if len(parts) == 1 else n_slots
                n_slots += len(parts) > 1
                key_items.append((key_start, key_end, len(key_entries), len(key_entries) + len(part), slot))
                key_entries.extend(part)
    key_items.sort(key=lambda item: -sum(end - start for start, end, _ in key_entries[item[2] : item[3]]))
    return Tiles(
        query_tiles=_query_tiles(segments, reads, tile),
        key_items=key_items,
        key_entries=key_entries,
        split_tiles=split_tiles,
        n_slots=n_slots,
    )


def _query_tiles(segments: Sequence[Span], reads: Sequence[Sequence[int]], tile: int) -> list[tuple[int, int]]:
    keyed = []
    for segment, (start, end) in enumerate(segments):
        whole = sum(segments[read][1] - segments[read][0] for read in reads[segment])
        keyed += [(start - tile_start - whole, segment, tile_start) for tile_start in range(start, end, tile)]
    return [(segment, tile_start) for _, segment, tile_start in sorted(keyed)]


def _split(entries: Sequence[tuple[int, int, int]], limit: int) -> list[list[tuple[int, int, int]]]:
    """Entries (query start, query end, causal) in parts of at most `limit` queries."""
    parts: list[list[tuple[int, int, int]]] = [[]]
    room = limit
    for start, end, causal in entries:
        while start < end:
            if room == 0:
                parts.append([])
                room = limit
            cut = min(end, start + room)
            parts[-1].append((start, cut, causal))
            room -= cut - start
            start = cut  # noqa: PLW2901 (the rest of the entry)
    return parts
