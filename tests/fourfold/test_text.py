from __future__ import annotations

import pytest

from fourfold.text import contains_run, squad_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("  The  ", []),
        ("The Cat, a dog AND an owl.", ["cat", "dog", "and", "owl"]),
        ("read-only", ["readonly"]),
        ("$1,000.50 (net)", ["100050", "net"]),
        ("a.", []),
        ("theory another", ["theory", "another"]),
        ("don't\n\tpanic", ["dont", "panic"]),
        ("Ünder – “quotes”", ["ünder", "–", "“quotes”"]),
    ],
)
def test_tokens_follow_squads_normalisation(text: str, tokens: list[str]) -> None:
    assert squad_tokens(text) == tokens


@pytest.mark.parametrize(
    ("tokens", "run", "expected"),
    [
        ("a b c", "b c", True),
        ("a b c", "a b c", True),
        ("a b c", "c", True),
        ("a b c", "a c", False),
        ("a b c", "a b c d", False),
        ("a a b", "a b", True),
        ("a b c", "", False),
        ("", "a", False),
        ("", "", False),
        ("ab c", "b", False),
    ],
)
def test_a_run_is_contained_as_consecutive_whole_tokens(tokens: str, run: str, expected: bool) -> None:
    assert contains_run(tokens.split(), run.split()) is expected
