"""Items in two parts that share no question: what a judge is tuned on, and what it is tried on."""

from __future__ import annotations

from collections.abc import Sequence

from fourfold.digest import digest_of
from fourfold.errors import InputError
from fourfold.evals.judge_sets.item import LabelledItem


def hold_out(
    items: Sequence[LabelledItem], *, share: float, seed: int
) -> tuple[tuple[LabelledItem, ...], tuple[LabelledItem, ...]]:
    """Splits by cluster; each goes where its own digest says, so that more items never move a question.

    Args:
        items: any.
        share: of the clusters held out, in (0, 1), in expectation.
        seed: another number, another split.

    Returns:
        The items to tune on and the held-out ones, each in the order given.

    Raises:
        InputError: `share` is outside (0, 1).
    """
    if not 0 < share < 1:
        raise InputError(
            "the share of held-out questions is wrong",
            seen=share,
            expected="a number between 0 and 1",
            hint="0.3 is usual",
        )
    places = {cluster: int(digest_of([seed, cluster])[:8], 16) / 16**8 for cluster in {one.cluster for one in items}}
    return (
        tuple(one for one in items if places[one.cluster] >= share),
        tuple(one for one in items if places[one.cluster] < share),
    )
