from __future__ import annotations

import dataclasses

import pytest

from fourfold.ingest.quotes import locate, page_span, section_at
from fourfold.types import Block


def found(quote: str, text: str) -> str | None:
    span = locate(quote, text, start=0, end=len(text))
    return None if span is None else text[span[0] : span[1]]


@pytest.mark.parametrize(
    ("quote", "text", "expected"),
    [
        ("two words", "one two words three", "two words"),
        ("two words", "one two\n\n  words three", "two\n\n  words"),
        ("  two words\n", "one two words three", "two words"),
        ('the "main" archive', "in the “main” archive", "the “main” archive"),
        ("the package's name", "the package’s name", "the package’s name"),
        ("files - control", "files – control", "files – control"),
        ("office", "the oﬃce hours", "oﬃce"),
        ("oﬃce", "the office hours", "office"),
        ("software", "free soft\u00adware", "soft\u00adware"),
        ("information", "the informa- tion", "informa- tion"),
        ("informa-\ntion", "the information", "information"),
        ("non-free", "the non- free area", "non- free"),
        ("non- free", "the non-free area", "non-free"),
        ("cafe\u0301 au lait", "un café au lait", "café au lait"),
        ("MAIN archive", "the main archive", "main archive"),
        ("a no break", "a\u00a0no\u00a0break", "a\u00a0no\u00a0break"),
        ("wait...", "wait… now", "wait…"),
    ],
)
def test_a_quote_is_found_in_another_spelling(quote: str, text: str, expected: str) -> None:
    assert found(quote, text) == expected


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("three", "one two"),
        ("", "one two"),
        (" \n", "one two"),
        ("onetwo", "one two"),
        ("cafe", "a café"),
        ("the main archive", "the main, archive"),
        ("1020", "pages 10-20"),
    ],
)
def test_a_quote_that_is_not_there_is_not_found(quote: str, text: str) -> None:
    assert found(quote, text) is None


def test_equal_case_is_preferred_over_an_earlier_place() -> None:
    assert locate("Main", "main and Main", start=0, end=13) == (9, 13)


def test_only_the_given_part_is_searched() -> None:
    text = "here and here"
    assert locate("here", text, start=1, end=len(text)) == (9, 13)
    assert locate("here", text, start=1, end=12) is None


def block(position: int, page: int, start: int, section: tuple[str, ...]) -> Block:
    return Block(
        doc_id="d",
        position=position,
        kind="text",
        page=page,
        bbox=(0, 0, 1, 1),
        start=start,
        end=start + 8,
        section=section,
        text="x" * 8,
    )


BLOCKS = (block(0, 1, 0, ()), block(1, 1, 10, ("A",)), block(2, 3, 20, ("A", "B")))


def test_a_page_spans_its_blocks() -> None:
    assert [page_span(BLOCKS, page) for page in (1, 2, 3)] == [(0, 18), None, (20, 28)]


def test_a_paragraph_over_two_pages_belongs_to_both() -> None:
    joined = [dataclasses.replace(BLOCKS[0], page_last=2), block(1, 1, 10, ("A",)), block(2, 3, 20, ("A",))]
    assert [page_span(joined, page) for page in (1, 2, 3)] == [(0, 18), (0, 8), (20, 28)]


def test_a_place_is_in_the_section_of_its_block() -> None:
    assert [section_at(BLOCKS, start) for start in (0, 9, 10, 27)] == [(), (), ("A",), ("A", "B")]
    assert section_at((), 5) == ()


def test_every_sentence_of_a_real_file_is_found_where_it_stands(
    quickstart: dict[object, tuple[object, tuple[Block, ...]]],
) -> None:
    _, blocks = next(iter(quickstart.values()))
    text = "\n\n".join(block.text for block in blocks)
    for some in [block for block in blocks if len(block.text) > 200][::20]:
        start, end = page_span(blocks, some.page) or (0, 0)
        assert locate(some.text[50:190], text, start=start, end=end) == (
            some.start + 50 + some.text[50].isspace(),
            some.start + 190 - some.text[189].isspace(),
        )
