from __future__ import annotations

import dataclasses

import pytest

from fourfold.retrieval.near_duplicates import find_near_duplicates
from fourfold.types import Chunk

WORDS = [f"word{at}" for at in range(60)]


def chunk(name: str, text: str, *, doc_id: str | None = None, start: int = 0) -> Chunk:
    return Chunk(
        chunk_id=name, doc_id=doc_id or name, position=0, start=start, end=start + len(text), page_first=1,
        page_last=1, section=(), n_tokens=1, text=text,
    )  # fmt: skip


WHOLE = chunk("a", " ".join(WORDS))


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        (" ".join(WORDS), True),
        ("The " + " ".join(WORDS).upper() + "!", True),
        # 60 words have 56 5-grams; one word exchanged takes away 5 of them and adds 5: 51 / 61 = .84.
        (" ".join([*WORDS[:30], "other", *WORDS[31:]]), True),
        # Two apart from each other: 46 / 66 = .70.
        (" ".join([*WORDS[:20], "other", *WORDS[21:40], "another", *WORDS[41:]]), False),
        (" ".join(reversed(WORDS)), False),
        ("", False),
    ],
)
def test_a_chunk_repeats_another_from_a_jaccard_index_of_four_fifths(text: str, repeats: bool) -> None:
    assert find_near_duplicates([WHOLE, chunk("b", text)]) == ({"b": "a"} if repeats else {})


def test_the_first_is_named_and_is_none_itself() -> None:
    copies = [dataclasses.replace(WHOLE, chunk_id=name, doc_id=name) for name in "abc"]
    assert find_near_duplicates(copies) == {"b": "a", "c": "a"}


def test_chunks_that_overlap_in_their_document_are_meant_to() -> None:
    part = chunk("b", " ".join(WORDS), doc_id="a", start=10)
    assert find_near_duplicates([WHOLE, part]) == {}
    assert find_near_duplicates([WHOLE, dataclasses.replace(part, start=5000, end=5500)]) == {"b": "a"}


def test_short_chunks_repeat_each_other_where_all_words_are_the_same() -> None:
    assert find_near_duplicates([chunk("a", "Only two"), chunk("b", "only two."), chunk("c", "only three")]) == {
        "b": "a"
    }
