from __future__ import annotations

import pytest

from fourfold.evals.unsupported import find_unsupported

SOURCES = (
    "The pump moves 1,000 litres per hour at four bar and weighs 40 kg. Debian ships Lintian and libfoo2.",
    "In 1993 Ian Murdock founded the project; the share grew by 12.5% to 3,400.75 dollars.",
)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        # Held in another spelling.
        ("It moves 1000 l an hour at 4 bar.", []),
        ("It moves 1.000 litres; the share is 12.5 percent, 3400.75 $.", []),
        ("It weighs 40 kilograms, founded by Murdock in 1993.", []),
        ("١٩٩٣", []),
        # Figures.
        ("It weighs 41 kg.", [("figure", "41")]),
        ("It was founded in 1994.", [("figure", "1994")]),
        ("The share grew by 12.6%.", [("figure", "12.6")]),
        ("Use v2 of it.", [("name", "v2")]),
        # A figure that a source holds, with another unit.
        ("It weighs 40 lb.", [("unit", "40 lb")]),
        ("It moves 1,000 gallons.", [("unit", "1,000 gallons")]),
        ("It is at 4 litres.", []),
        # Names.
        ("It was founded by Ian Murray.", [("name", "Murray")]),
        ("Paris is where Lintian was written.", []),
        ("They met in Paris and use DPKG with libfoo3.", [("name", "Paris"), ("name", "DPKG"), ("name", "libfoo3")]),
        ("Debian's Lintian.", []),
        ("It is called “Zarnok” (in sub-Saharan speech).", [("name", "Zarnok"), ("name", "Saharan")]),
        ("It works.\n- Maybe\n“Perhaps.”", []),
        ("В Москве.", [("name", "Москве")]),
        # Nothing to look at.
        ("", []),
        ("それはポンプです。", []),
        ("i am not sure", []),
    ],
)
def test_what_no_source_holds_is_found(answer: str, expected: list[tuple[str, str]]) -> None:
    found = find_unsupported(answer, SOURCES)
    assert [(one.kind, one.text) for one in found] == expected
    assert all(answer[one.start : one.end] == one.text for one in found)


def test_without_sources_every_figure_and_name_is_unsupported() -> None:
    assert [one.text for one in find_unsupported("In Rome, 12 m.", ())] == ["Rome", "12"]


@pytest.mark.parametrize(
    ("text", "n_found"),
    [("9" * 100_000, 1), ("1," * 50_000, 1), ("An Ox " * 20_000, 20_000), (" " * 100_000, 0), ("1,000 " * 16_000, 0)],
    ids=["digits", "commas", "names", "blank", "thousands"],
)
def test_100_000_characters_are_read_once(text: str, n_found: int) -> None:
    # Bounded by the suite's own time: a pattern that looks back over the text would take minutes.
    found = find_unsupported(text, SOURCES)
    assert len(found) >= n_found if n_found else not found
