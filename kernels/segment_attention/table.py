"""Who sees whom in one row of tokens, as tables of integers that every layer reads and no layer changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from fourfold.kernels.segment_attention.tiles import Span, make_tiles

TileSize = Literal[16, 32, 64, 128]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentTable:
    """One row of T tokens cut into S segments; tokens outside every segment are padding.

    A segment sees itself causally and some earlier segments whole: none (packed documents), one (the suffixes of a
    shared context) or several (trees). Padding sees nothing and is seen by nothing; its output and gradients are 0.
    All tensors are int32, contiguous and on one device. Made by `make_table`, which checks; or by `pack`.
    """

    n_tokens: int
    """T."""
    n_used: int
    """Tokens inside segments."""
    tile: int
    """Tokens of a tile in the Triton kernels."""
    segments: torch.Tensor
    """[S, 2]: start, end."""
    run_offsets: torch.Tensor
    """[S + 1]: the runs of segment s are `runs[run_offsets[s] : run_offsets[s + 1]]`; its own run is the last one."""
    runs: torch.Tensor
    """[R, 3]: key start, key end, causal (1: key j is seen by query i where j ≤ i; 0: by all queries)."""
    position_ids: torch.Tensor
    """[T]: tokens before it in what it sees; 0 for padding."""
    predictors: torch.Tensor
    """[T]: flat index of the token whose hidden state predicts it: the one before it, and for a suffix's first token
    the last of its context (the branch point); -1 for the first token of a document and for padding."""
    multiplicity: torch.Tensor
    """[T]: sequences that hold the token: the number of leaves that read its segment; 1 in a leaf, 0 for padding."""
    query_tiles: torch.Tensor
    """[N, 2]: segment, start; one program of the forward and of the dQ kernel each."""
    key_items: torch.Tensor
    """[M, 5]: key start, key end, first and past-last entry, slot; one program of the dK/dV kernel each. Slot -1 writes
    the gradient; another slot writes a part of it, to be summed by way of `split_tiles`."""
    key_entries: torch.Tensor
    """[E, 3], the reverse of `runs`: query start, query end, causal."""
    split_tiles: torch.Tensor
    """[X, 4]: key start, key end, first and past-last slot."""
    n_slots: int
    """Slots in all."""

    @property
    def branch_points(self) -> torch.Tensor:
        """[S]: `predictors` of the segments' first tokens; -1 for documents."""
        return self.predictors[self.segments[:, 0]]

    def to(self, device: torch.device | str) -> SegmentTable:
        """The same table on another device."""
        tensors = {
            field.name: getattr(self, field.name).to(device, non_blocking=True)
            for field in dataclasses.fields(self)
            if isinstance(getattr(self, field.name), torch.Tensor)
        }
        return dataclasses.replace(self, **tensors)


def make_table(
    segments: Sequence[Span], reads: Sequence[Sequence[int]], *, n_tokens: int, tile: TileSize = 128
) -> SegmentTable:
    """The table of a row, on the CPU.

    Args:
        segments: (start, end) of each segment in tokens, ascending, not overlapping, none empty.
        reads: for each segment the numbers of the earlier segments that it sees whole, outermost first: its position
            ids count on from them, and the last one's last token predicts its first token.
        n_tokens: T, at least the last segment's end; what no segment covers is padding.
        tile: tokens of a tile in the Triton kernels. 128 suits long segments; 64 wastes less of short ones.

    Raises:
        ValueError: an argument is not as said here; names it and its value.
    """
    _check_segments(segments, n_tokens, tile)
    _check_reads(reads, len(segments))
    lengths = [end - start for start, end in segments]
    inner = {read for parents in reads for read in parents}
    leaves = [0 if segment in inner else 1 for segment in range(len(segments))]
    for reader, parents in enumerate(reads):
        if reader not in inner:
            for read in parents:
                leaves[read] += 1
    position_ids, multiplicity, predictors = [0] * n_tokens, [0] * n_tokens, [-1] * n_tokens
    runs: list[tuple[int, int, int]] = []
    run_offsets = [0]
    for segment, (start, end) in enumerate(segments):
        depth = sum(lengths[read] for read in reads[segment])
        position_ids[start:end] = range(depth, depth + end - start)
        multiplicity[start:end] = [leaves[segment]] * (end - start)
        branch_point = segments[reads[segment][-1]][1] - 1 if reads[segment] else -1
        predictors[start:end] = [branch_point, *range(start, end - 1)]
        runs += [(*segments[read], 0) for read in reads[segment]]
        runs.append((start, end, 1))
        run_offsets.append(len(runs))
    tiles = make_tiles(segments, reads, tile=tile)
    return SegmentTable(
        n_tokens=n_tokens,
        n_used=sum(lengths),
        tile=tile,
        segments=_int32(segments, 2),
        run_offsets=_int32(run_offsets),
        runs=_int32(runs, 3),
        position_ids=_int32(position_ids),
        predictors=_int32(predictors),
        multiplicity=_int32(multiplicity),
        query_tiles=_int32(tiles.query_tiles, 2),
        key_items=_int32(tiles.key_items, 5),
        key_entries=_int32(tiles.key_entries, 3),
        split_tiles=_int32(tiles.split_tiles, 4),
        n_slots=tiles.n_slots,
    )


def _int32(values: Sequence[object], n_columns: int | None = None) -> torch.Tensor:
    tensor = torch.tensor(values, dtype=torch.int32)
    return tensor if n_columns is None else tensor.reshape(-1, n_columns)


def _check_segments(segments: Sequence[Span], n_tokens: int, tile: int) -> None:
    if not segments:
        raise ValueError("segments is empty: a row needs at least one")
    if tile not in get_args(TileSize):
        raise ValueError(f"tile = {tile}: must be one of {', '.join(map(str, get_args(TileSize)))}")
    if n_tokens >= 2**31:
        raise ValueError(f"n_tokens = {n_tokens}: must be below 2^31, the tables hold 32-bit integers")
    before = 0
    for number, (start, end) in enumerate(segments):
        if start >= end:
            raise ValueError(f"segments[{number}] = ({start}, {end}) is empty: must hold at least one token")
        if start < before:
            raise ValueError(
                f"segments[{number}] = ({start}, {end}) overlaps what precedes: must start from {before} on"
            )
        if end > n_tokens:
            raise ValueError(f"segments[{number}] = ({start}, {end}) points outside: must end by n_tokens = {n_tokens}")
        before = end


def _check_reads(reads: Sequence[Sequence[int]], n_segments: int) -> None:
    if len(reads) != n_segments:
        raise ValueError(f"reads has {len(reads)} entries: must have one for each of the {n_segments} segments")
    for number, parents in enumerate(reads):
        if len(set(parents)) != len(parents):
            raise ValueError(f"reads[{number}] = {tuple(parents)}: its runs overlap, each segment may be named once")
        if any(not 0 <= read < number for read in parents):
            raise ValueError(f"reads[{number}] = {tuple(parents)}: must be numbers of earlier segments, below {number}")
