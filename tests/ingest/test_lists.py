from __future__ import annotations

import pytest

from fourfold.ingest.lines import Line
from fourfold.ingest.lists import item_starts


@pytest.mark.parametrize(
    ("texts", "starts"),
    [
        (["• one", "and more", "• two"], (0, 2)),
        (["– one", "– two"], (0, 1)),
        (["o one"], (0,)),
        (["1. one", "2. two"], (0, 1)),
        (["3) three"], (0,)),
        (["(a) one", "(b) two"], (0, 1)),
        (["It rained in", "12. The corn"], ()),
        (["J. Smith sowed", "oats"], ()),
        (["12.5 kg"], ()),
        (["2019 was wet"], ()),
        (["-5 degrees"], ()),
        (["● ●"], ()),
        ([], ()),
    ],
)
def test_items_are_told_by_their_marks(texts: list[str], starts: tuple[int, ...]) -> None:
    lines = [Line(text=text, bbox=(0, 0, 1, 1), size=10, bold=False) for text in texts]
    assert item_starts(lines) == starts
