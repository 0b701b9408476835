from __future__ import annotations

import pytest

from fourfold.evals.judge.parse import Rating, Unreadable, parse_rating

LABELS = ("5", "4", "3", "2", "1")


@pytest.mark.parametrize(
    ("text", "label", "reason"),
    [
        ('{"reason": "fits", "rating": 4}', "4", "fits"),
        ('{"rating": "4"}', "4", None),
        ('```json\n{"reason": "", "rating": 2}\n```', "2", None),
        ('Here you are: {"reason": "a } in it", "rating": 3} I hope it helps.', "3", "a } in it"),
        ('{"note": {"deep": 1}} {"rating": 5, "more": [1]}', "5", None),
        ("4", "4", None),
        ("  Rating: 3\n", "3", None),
        ("**4/5**", "4", None),
        ("The answer repeats the reference.\nFinal rating: 5", "5", None),
        ('{"rating": 4} and again {"rating": 4}', "4", None),
    ],
)
def test_a_rating_is_found_whatever_stands_around_it(text: str, label: str, reason: str | None) -> None:
    assert parse_rating(text, LABELS) == Rating(label=label, reason=reason)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "wrote nothing"),
        (" \n ", "wrote nothing"),
        ("The answer is quite good, 4 out of 5 people would say so.", "no rating"),
        ('{"reason": "no rating here"}', "no rating"),
        ('{"rating": 7}', "none of"),
        ('{"rating": 3.5}', "no rating"),
        ('{"rating": true}', "no rating"),
        ('{"rating": null}', "no rating"),
        ("8/10", "none of"),
        ('{"rating": 4} no, {"rating": 2}', "different ratings"),
        ("Rating: 4\nRating: 2", "different ratings"),
        ("{" * 5000, "no rating"),
    ],
)
def test_anything_else_is_a_failure_with_its_reason(text: str, why: str) -> None:
    found = parse_rating(text, LABELS)
    assert isinstance(found, Unreadable)
    assert why in found.reason
    assert len(found.reason) < 200


def test_a_reply_cut_off_before_its_rating_says_so() -> None:
    found = parse_rating('{"reason": "The answer names', LABELS, finish_reason="length")
    assert isinstance(found, Unreadable)
    assert found.reason.startswith("cut off before a rating")


def test_a_whole_rating_counts_even_where_the_reply_was_cut_off_after_it() -> None:
    assert parse_rating('{"rating": 4} because it', LABELS, finish_reason="length") == Rating(label="4", reason=None)
