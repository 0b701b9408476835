"""Runs of text on a page → their reading order.

A recursive XY-cut over the boxes of groups of lines: a full-width heading splits the page across, a gutter between two
bodies of running text splits it down. All boxes are in a frame where the text runs left to right.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourfold.ingest.lines import Line
    from fourfold.types import BBox


class Run(NamedTuple):
    """Characters on one base line. `box` is in a frame where the text runs left to right; `line` has the shown one."""

    box: BBox
    line: Line


class Group(NamedTuple):
    """Runs that stand together, such as a paragraph's."""

    box: BBox
    runs: tuple[Run, ...]


def union(boxes: Sequence[BBox]) -> BBox:
    """The smallest box around all of them (at least one)."""
    x0s, y0s, x1s, y1s = zip(*boxes, strict=True)
    return min(x0s), min(y0s), max(x1s), max(y1s)


def group_of(runs: Sequence[Run]) -> Group:
    """The runs with their common box."""
    return Group(union([run.box for run in runs]), tuple(runs))


def n_chars(group: Group) -> int:
    """Characters of its lines."""
    return sum(len(run.line.text) for run in group.runs)


def in_reading_order(groups: list[Group]) -> list[Group]:
    """The groups of one page and direction in the order in which they are read."""
    if len(groups) < 2:
        return groups
    split = columns(groups)
    if split is None:
        bands = _bands(groups)
        if len(bands) > 1:
            return [group for region in _regions(bands) for group in in_reading_order(region)]
        split = next(iter(_gaps(groups)), None)
    if split is None:
        return sorted(groups, key=lambda group: (group.box[1], group.box[0]))
    return in_reading_order(split[0]) + in_reading_order(split[1])


def columns(groups: list[Group]) -> tuple[list[Group], list[Group]] | None:
    """The groups left and right of a gutter between running text, or None."""
    if sum(len(group.runs) for group in groups) < 4:
        return None
    return next((split for split in _gaps(groups) if _is_gutter(*split)), None)


def _bands(groups: list[Group]) -> list[list[Group]]:
    """Groups between white lines that cross the whole region. Boxes of dense text overlap a little: up to 2 points."""
    bands: list[list[Group]] = []
    bottom = float("-inf")
    for group in sorted(groups, key=lambda group: group.box[1]):
        if group.box[1] >= bottom - 2:
            bands.append([])
        bands[-1].append(group)
        bottom = max(bottom, group.box[3])
    return bands


def _regions(bands: list[list[Group]]) -> list[list[Group]]:
    """Bands put together as long as one gutter runs through all of them: white lines may line up across columns."""
    regions = [bands[0]]
    for band in bands[1:]:
        if columns(regions[-1] + band):
            regions[-1] = regions[-1] + band
        else:
            regions.append(band)
    return regions


def _gaps(groups: list[Group]) -> list[tuple[list[Group], list[Group]]]:
    """Every split of the groups by a white line down the region, the widest white first."""
    across = sorted(groups, key=lambda group: group.box[0])
    splits = []
    right = across[0].box[2]
    for at, group in enumerate(across[1:], start=1):
        if group.box[0] - right >= 4:  # half an em of small print; federal registers have 7 points
            splits.append((group.box[0] - right, at))
        right = max(right, group.box[2])
    return [(across[:at], across[at:]) for _, at in sorted(splits, reverse=True)]


def _is_gutter(left: list[Group], right: list[Group]) -> bool:
    """Whether both sides are columns of text, and not the cells of a table or labels with their values."""
    boxes = [union([group.box for group in side]) for side in (left, right)]
    overlap = min(box[3] for box in boxes) - max(box[1] for box in boxes)
    n_lines = [sum(len(group.runs) for group in side) for side in (left, right)]
    if max(n_lines) < 3 or overlap <= 0.5 * min(box[3] - box[1] for box in boxes):
        return False
    per_line = [sum(map(n_chars, side)) / n for side, n in zip((left, right), n_lines, strict=True)]
    tops = [*sorted(group.box[1] for group in right), float("inf")]
    n_level = sum(tops[bisect_left(tops, group.box[1] - 2)] < group.box[1] + 2 for group in left)
    if n_level < 3 or n_level < 0.7 * min(len(left), len(right)):
        return min(per_line) >= 12  # letters to a line; labels and numbers have fewer
    filled = [
        sum(run.box[2] - run.box[0] for group in side for run in group.runs) / (n * (box[2] - box[0]))
        for side, n, box in zip((left, right), n_lines, boxes, strict=True)
    ]
    return min(per_line) >= 25 and min(filled) >= 0.6  # level rows: only full lines of prose are columns
