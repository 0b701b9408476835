"""In which order rows are trained, and so which of them an optimiser step sees together."""

from __future__ import annotations

import random
from collections.abc import Sequence

from fourfold.tuning.prefix_tree import n_common
from fourfold.tuning.rows import TuningRow


def order_rows(
    rows: Sequence[TuningRow], *, epochs: int, batch_rows: int, seed: int, shared: bool = False
) -> list[TuningRow]:
    """Rows in training order, every epoch written out.

    Args:
        rows: of one epoch.
        epochs: passes over them.
        batch_rows: rows of an optimiser step, `ordered[i * batch_rows : (i + 1) * batch_rows]`.
        seed: of the order.
        shared: rows of one set of contexts share a step where it has room, as they can only there be read together;
            what else a step holds is left to chance. Otherwise all of it is, and the rows of a step stand longest
            first: those of like length then share a micro-batch, so that little is padding.
    """
    shuffler = random.Random(seed)  # noqa: S311 (an order, not a secret)
    ordered: list[TuningRow] = []
    if shared:
        groups = like_contexts(rows)
        for _ in range(epochs):
            ordered += _fill(groups, shuffler, batch_rows=batch_rows, taken=len(ordered) % batch_rows)
        return ordered
    for _ in range(epochs):
        shuffled = list(rows)
        shuffler.shuffle(shuffled)
        for start in range(0, len(shuffled), batch_rows):
            ordered += sorted(shuffled[start : start + batch_rows], key=lambda row: -row.n_tokens)
    return ordered


def like_contexts(rows: Sequence[TuningRow]) -> list[list[TuningRow]]:
    """Rows with contexts whose prompts are alike for at least half of the shorter one; each other row by itself.

    Rows without contexts have their instructions in common, which any step shares: together they would fill steps
    without a row of the other form.
    """
    groups: list[list[TuningRow]] = [[row] for row in rows if row.form != "with contexts"]
    before: TuningRow | None = None
    for row in sorted((row for row in rows if row.form == "with contexts"), key=lambda row: row.prompt_ids):
        shorter = min(len(row.prompt_ids), len(before.prompt_ids)) if before else 0
        if before and 2 * n_common(before.prompt_ids, row.prompt_ids) >= shorter:
            groups[-1].append(row)
        else:
            groups.append([row])
        before = row
    return groups


def _fill(
    groups: Sequence[Sequence[TuningRow]], shuffler: random.Random, *, batch_rows: int, taken: int
) -> list[TuningRow]:
    """The groups in chance order, each in the step at hand if it has room for it; one is cut where none fits."""
    waiting = [shuffler.sample(group, len(group)) for group in groups]
    shuffler.shuffle(waiting)
    filled: list[TuningRow] = []
    room = batch_rows - taken
    while waiting:
        place = next((place for place, group in enumerate(waiting) if len(group) <= room), 0)
        group = waiting.pop(place)
        filled += group[:room]
        if group[room:]:
            waiting.insert(0, group[room:])
        room = (room - min(room, len(group))) or batch_rows
    return filled
