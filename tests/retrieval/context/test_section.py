from __future__ import annotations

import pytest
from support.passages import chunk_at, count_words

from fourfold.retrieval.context.passage import Passage, passage_of
from fourfold.retrieval.context.section import SectionExpansion, by_section, joined_texts

#          0123456789012345678901234567890123456789
TEXT = "aa bb\n\ncc dd\n\nee ff\n\nXX\n\ngg hh"
ONE, TWO = ("One",), ("Two",)
A, B, C = (chunk_at(TEXT, span, section=ONE) for span in ((0, 5), (7, 12), (14, 19)))
X = chunk_at(TEXT, (21, 23), section=TWO)
# Of the first section again, behind another one.
G = chunk_at(TEXT, (25, 30), section=ONE)


def expansion(max_tokens: int) -> SectionExpansion:
    return SectionExpansion(
        siblings=by_section([A, B, C, X, G]), texts={"d": TEXT}, count_tokens=count_words, max_tokens=max_tokens
    )


def spans(found: tuple[Passage, ...]) -> list[tuple[int, int]]:
    assert all(one.text == TEXT[one.start : one.end] for one in found)
    return [(one.start, one.end) for one in found]


@pytest.mark.parametrize(
    ("max_tokens", "span"),
    [
        # Itself, though it is longer than the limit.
        (1, (7, 12)),
        (3, (7, 12)),
        # The one after first, then the one before.
        (4, (7, 19)),
        (6, (0, 19)),
        # Never over the section's end, and not to the same heading further on.
        (99, (0, 19)),
    ],
)
def test_a_chunk_grows_by_whole_neighbours_of_its_section(max_tokens: int, span: tuple[int, int]) -> None:
    found = expansion(max_tokens).expand([passage_of(B)])
    assert spans(found) == [span]
    assert found[0].chunk == B


def test_a_chunk_at_a_sections_end_grows_backwards() -> None:
    assert spans(expansion(4).expand([passage_of(C)])) == [(7, 19)]
    assert spans(expansion(99).expand([passage_of(X)])) == [(21, 23)]


def test_no_text_is_shown_twice() -> None:
    # The second hit stands in what the first has grown to.
    assert spans(expansion(99).expand([passage_of(B), passage_of(A), passage_of(X)])) == [(0, 19), (21, 23)]
    # The second does not grow into the first.
    assert spans(expansion(4).expand([passage_of(B), passage_of(A)])) == [(7, 19), (0, 5)]


def test_overlapping_chunks_are_joined_without_a_repeat() -> None:
    text = "one two three four five"
    first, second = chunk_at(text, (0, 13)), chunk_at(text, (8, 23))
    grown = SectionExpansion(
        siblings=by_section([first, second]), texts={"d": text}, count_tokens=count_words, max_tokens=9
    ).expand([passage_of(first)])
    assert [one.text for one in grown] == [text]


def test_sections_of_the_same_name_in_two_documents_are_two() -> None:
    other = chunk_at(TEXT, (0, 5), section=ONE, doc_id="e")
    siblings = by_section([A, B, other])
    assert [len(own) for own in siblings.values()] == [2, 1]


def test_documents_are_put_together_from_their_chunks_with_every_offset_kept() -> None:
    inner = chunk_at(TEXT, (8, 10), section=ONE)
    overlapping = chunk_at(TEXT, (10, 19), section=ONE)
    other = chunk_at("one  two", (0, 3), doc_id="e")
    # A chunk within another one, as the hierarchical chunker makes them, adds nothing.
    assert joined_texts([G, X, overlapping, A, inner, B, other]) == {"d": TEXT, "e": "one"}
    assert joined_texts([chunk_at("a   b c", (0, 1)), chunk_at("a   b c", (4, 5)), chunk_at("a   b c", (6, 7))]) == {
        "d": "a\n\n b c"
    }
    assert joined_texts([]) == {}
