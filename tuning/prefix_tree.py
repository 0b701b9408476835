"""Prompts that begin alike as a tree: what several have in common is a branch that stands once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fourfold.errors import ModelError
from fourfold.tuning.rows import TuningRow

# Shorter beginnings are repeated: each shared one is a run of keys more for everything after it. Not measured finer.
MIN_SHARED_TOKENS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """Tokens [start, end) of a row, shared by all rows below; a row's own end, its answer in it, has nothing below."""

    row: int
    start: int
    end: int
    children: tuple[Branch, ...] = ()

    @property
    def size(self) -> int:
        """Tokens of itself and all below."""
        return self.end - self.start + sum(child.size for child in self.children)

    def walk(self) -> Iterator[Branch]:
        """Itself and all below, each before its children."""
        yield self
        for child in self.children:
            yield from child.walk()


def grow_trees(rows: Sequence[TuningRow], *, budget: int) -> tuple[Branch, ...]:
    """Trees that hold every row once as an end, none over the budget.

    Only prompts are shared, so that each row ends in tokens of its own. A tree over the budget becomes several, each
    with its own copy of what they share.

    Args:
        rows: one or more.
        budget: tokens of a tree.

    Raises:
        ModelError: a row over the budget.
    """
    for row in rows:
        if row.n_tokens > budget:
            raise ModelError(
                "a tuning row does not fit into a pass",
                seen=f"question {row.question_id}: {row.n_tokens} tokens",
                expected=f"at most {budget} tokens",
                hint="raise the budget to the longest row, or leave the row out",
            )
    # In this order rows that begin alike are neighbours, and what any of them share their neighbours share.
    order = sorted(range(len(rows)), key=lambda number: rows[number].prompt_ids)
    common = [n_common(rows[one].prompt_ids, rows[next_].prompt_ids) for one, next_ in zip(order, order[1:])]  # noqa: B905, RUF007
    return tuple(tree for grown in _grow(rows, order, common, 0) for tree in _fit(grown, budget))


def _grow(rows: Sequence[TuningRow], order: Sequence[int], common: Sequence[int], depth: int) -> list[Branch]:
    """Branches of neighbouring rows from `depth` tokens on; `common[i]` is what `order[i]` and the next share."""
    if len(order) == 1:
        return [Branch(row=order[0], start=depth, end=rows[order[0]].n_tokens)]
    shared = min(common)
    below = shared if shared - depth >= MIN_SHARED_TOKENS else depth
    cuts = [0, *(place + 1 for place, length in enumerate(common) if length == shared), len(order)]
    children = [
        branch
        for start, end in zip(cuts, cuts[1:])  # noqa: B905, RUF007
        for branch in _grow(rows, order[start:end], common[start : end - 1], below)
    ]
    return [Branch(row=order[0], start=depth, end=below, children=tuple(children))] if below > depth else children


def _fit(branch: Branch, budget: int) -> list[Branch]:
    if branch.size <= budget:
        return [branch]
    room = budget - (branch.end - branch.start)
    copies: list[list[Branch]] = [[]]
    left = room
    for child in [part for whole in branch.children for part in _fit(whole, room)]:
        if child.size > left:
            copies.append([])
            left = room
        copies[-1].append(child)
        left -= child.size
    return [replace(branch, children=tuple(children)) for children in copies if children]


def n_common(one: Sequence[int], other: Sequence[int]) -> int:
    """Tokens that both begin with."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
