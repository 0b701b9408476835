from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.pdfs import QUICKSTART

from fourfold.retrieval.chunk import chunk_documents
from fourfold.types import BLOCK_SEPARATOR, Block, Chunk


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def count_letters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def blocks_of(*texts: str, doc_id: str = "d") -> list[Block]:
    """Blocks of one document, two a page; those that start with '#' are headings."""
    blocks: list[Block] = []
    section: tuple[str, ...] = ()
    start = 0
    for position, text in enumerate(texts):
        section = (text,) if text.startswith("#") else section
        blocks.append(
            Block(
                doc_id=doc_id, position=position, kind="heading" if text.startswith("#") else "text",
                page=1 + position // 2, bbox=(0.0, 0.0, 1.0, 1.0), start=start, end=start + len(text),
                section=section, text=text,
            )
        )  # fmt: skip
        start += len(text) + len(BLOCK_SEPARATOR)
    return blocks


def cut(*texts: str, max_tokens: int, overlap: int = 0) -> list[Chunk]:
    return list(chunk_documents(blocks_of(*texts), count_words, max_tokens=max_tokens, overlap=overlap))


def texts_of(chunks: Sequence[Chunk]) -> list[str]:
    return [chunk.text.strip() for chunk in chunks]


LONG = [
    "# One",
    "First sentence here. Second one is longer than that; it has a clause! Third?",
    "A list: item one; item two; item three.",
    "## Two",
    " ".join(f"word{i}" for i in range(60)) + ".",
    "x" * 90,
    "# Three",
    "The end.  Two spaces.\tA tab.",
]


def check(blocks: Sequence[Block], chunks: Sequence[Chunk], max_tokens: int) -> None:
    """What holds of every chunking."""
    for doc_id in {block.doc_id for block in blocks}:
        text = BLOCK_SEPARATOR.join(block.text for block in blocks if block.doc_id == doc_id)
        own = [chunk for chunk in chunks if chunk.doc_id == doc_id]
        assert [chunk.position for chunk in own] == list(range(len(own)))
        covered: set[int] = set()
        for chunk in own:
            assert chunk.text == text[chunk.start : chunk.end]
            assert chunk.text.strip()
            assert chunk.n_tokens <= max_tokens
            assert chunk.page_first <= chunk.page_last
            covered.update(range(chunk.start, chunk.end))
        assert [i for i, letter in enumerate(text) if not letter.isspace() and i not in covered] == []
        for before, after in itertools.pairwise(own):
            assert before.start < after.start
            assert before.end < after.end
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)


@pytest.mark.parametrize("overlap", [0, 3, 8])
@pytest.mark.parametrize("max_tokens", [1, 2, 5, 16, 17, 1000])
def test_chunks_are_exact_small_enough_and_leave_no_letter_out(max_tokens: int, overlap: int) -> None:
    blocks = blocks_of(*LONG) + blocks_of(*reversed(LONG), doc_id="e")
    check(blocks, chunk_documents(blocks, count_words, max_tokens=max_tokens, overlap=overlap), max_tokens)


@pytest.mark.parametrize("max_tokens", [7, 40])
def test_so_they_are_where_every_letter_counts(max_tokens: int) -> None:
    blocks = blocks_of(*LONG)
    check(blocks, chunk_documents(blocks, count_letters, max_tokens=max_tokens, overlap=max_tokens // 2), max_tokens)


def test_so_they_are_on_a_real_document(quickstart_blocks: tuple[Block, ...]) -> None:
    chunks = chunk_documents(quickstart_blocks, count_words, max_tokens=128, overlap=16)
    check(quickstart_blocks, chunks, 128)
    assert len(chunks) > 20
    assert sum(chunk.n_tokens for chunk in chunks) / len(chunks) > 64


@pytest.fixture(scope="module")
def quickstart_blocks() -> tuple[Block, ...]:
    from fourfold.ingest.pdf import read_pdf

    smallest: Path = min(QUICKSTART.glob("*.pdf"), key=lambda path: path.stat().st_size)
    return read_pdf(smallest)[1]


def test_sentences_are_kept_whole_and_packed_while_they_fit() -> None:
    chunks = cut("One two. Three four five. Six. Seven eight nine.", max_tokens=6)
    assert texts_of(chunks) == ["One two. Three four five. Six.", "Seven eight nine."]
    assert [chunk.n_tokens for chunk in chunks] == [6, 3]


def test_the_last_sentences_that_fit_are_repeated() -> None:
    text = "One two. Three. Four five. Six seven eight nine ten."
    assert texts_of(cut(text, max_tokens=5, overlap=2)) == ["One two. Three. Four five.", "Six seven eight nine ten."]
    assert texts_of(cut(text, max_tokens=8, overlap=3))[1] == "Three. Four five. Six seven eight nine ten."
    assert texts_of(cut(text, max_tokens=8, overlap=2))[1] == "Four five. Six seven eight nine ten."
    assert texts_of(cut(text, max_tokens=8, overlap=1))[1] == "Six seven eight nine ten."


def test_an_overlap_never_repeats_a_whole_chunk_nor_crowds_out_what_is_new() -> None:
    assert texts_of(cut("One. Two three. Four.", max_tokens=2, overlap=1)) == ["One.", "Two three.", "Four."]
    assert texts_of(cut("One. Two. Three. Four.", max_tokens=2, overlap=1)) == [
        "One. Two.", "Two. Three.", "Three. Four."
    ]  # fmt: skip


def test_a_heading_starts_a_chunk_once_the_one_before_is_half_full() -> None:
    body = "One two three."
    assert texts_of(cut(body, "# H", "Four.", max_tokens=6, overlap=3)) == [body, "# H\n\nFour."]
    assert texts_of(cut(body, "# H", "Four.", max_tokens=7, overlap=3)) == [f"{body}\n\n# H\n\nFour."]


def test_a_heading_that_does_not_fit_starts_a_chunk_without_overlap() -> None:
    assert texts_of(cut("One two. Three.", "# A long heading of many words", max_tokens=8, overlap=4)) == [
        "One two. Three.", "# A long heading of many words"
    ]  # fmt: skip


def test_a_heading_is_not_repeated_in_an_overlap() -> None:
    assert texts_of(cut("One two.", "# H", "Three.", "Four five six seven.", max_tokens=8, overlap=4)) == [
        "One two.\n\n# H\n\nThree.", "Three.\n\nFour five six seven."
    ]  # fmt: skip


def test_a_chunk_stands_under_the_section_of_its_first_sentence() -> None:
    chunks = cut("# A", "One.", "# B", "Two three four five.", "# C", max_tokens=9)
    assert [(chunk.section, chunk.page_first, chunk.page_last) for chunk in chunks] == [
        (("# A",), 1, 2), (("# C",), 3, 3)
    ]  # fmt: skip


def test_a_sentence_that_is_too_long_is_cut_at_spaces() -> None:
    words = [f"w{i:02}" for i in range(21)]
    chunks = cut(" ".join(words), max_tokens=6)
    assert " ".join(texts_of(chunks)).split() == words
    assert all(chunk.n_tokens <= 6 for chunk in chunks)


@pytest.mark.parametrize("max_tokens", [40, 97, 150])
def test_blank_lines_between_blocks_count(max_tokens: int) -> None:
    chunks = chunk_documents(blocks_of(*LONG, *["ab"] * 30), count_letters, max_tokens=max_tokens, overlap=10)
    assert all(chunk.n_tokens == len(chunk.text) <= max_tokens for chunk in chunks)


def test_a_word_that_is_too_long_is_cut_between_letters() -> None:
    chunks = chunk_documents(blocks_of("abcdefghij"), count_letters, max_tokens=3, overlap=0)
    assert "".join(texts_of(chunks)) == "abcdefghij"
    assert max(chunk.n_tokens for chunk in chunks) <= 3


def test_a_single_letter_of_too_many_tokens_is_a_chunk_of_its_own() -> None:
    chunks = chunk_documents(blocks_of("ab"), lambda texts: [9 * len(text) for text in texts], max_tokens=3, overlap=1)
    assert [(chunk.text, chunk.n_tokens) for chunk in chunks] == [("a", 9), ("b", 9)]


def test_documents_are_never_mixed() -> None:
    blocks = blocks_of("One.", "Two.") + blocks_of("One.", doc_id="e")
    chunks = chunk_documents(blocks, count_words, max_tokens=100, overlap=50)
    assert [(chunk.doc_id, chunk.position, chunk.text) for chunk in chunks] == [
        ("d", 0, "One.\n\nTwo."), ("e", 0, "One.")
    ]  # fmt: skip


def test_ids_are_the_same_each_time_and_differ_with_document_place_and_text() -> None:
    first = cut(*LONG, max_tokens=8)
    assert first == cut(*LONG, max_tokens=8)
    assert all(len(chunk.chunk_id) == 24 for chunk in first)
    other = chunk_documents(blocks_of(*LONG, doc_id="e"), count_words, max_tokens=8, overlap=0)
    assert not {chunk.chunk_id for chunk in first} & {chunk.chunk_id for chunk in other}
    (same, again) = chunk_documents(blocks_of("Ho. Ho. Ho."), count_words, max_tokens=2, overlap=0)
    assert same.chunk_id != again.chunk_id


def test_the_blocks_of_other_documents_change_nothing() -> None:
    own = blocks_of(*LONG)
    alone = chunk_documents(own, count_words, max_tokens=9, overlap=2)
    beside = chunk_documents([*blocks_of("Other.", doc_id="a"), *own], count_words, max_tokens=9, overlap=2)
    assert beside[1:] == alone


@pytest.mark.parametrize("blocks", [[], blocks_of("")])
def test_no_text_has_no_chunks(blocks: list[Block]) -> None:
    assert chunk_documents(blocks, count_words, max_tokens=9, overlap=2) == ()


def test_the_check_of_these_tests_can_fail() -> None:
    blocks = blocks_of(*LONG)
    chunks = chunk_documents(blocks, count_words, max_tokens=9, overlap=0)
    moved = dataclasses.replace(chunks[1], start=chunks[1].start + 1)
    for wrong in (chunks[1:], [*chunks[:1], moved, *chunks[2:]], chunks[::-1]):
        with pytest.raises(AssertionError):
            check(blocks, wrong, 9)
    with pytest.raises(AssertionError):
        check(blocks, chunks, 8)


def test_a_chunk_reaches_to_the_page_on_which_its_last_block_ends() -> None:
    first, second = blocks_of("One two three.", "Four five six.")
    blocks = [first, dataclasses.replace(second, page=1, page_last=2)]
    (whole,) = chunk_documents(blocks, count_words, max_tokens=50, overlap=0)
    alone, joined = chunk_documents(blocks, count_words, max_tokens=3, overlap=0)
    assert [(c.page_first, c.page_last) for c in (whole, alone, joined)] == [(1, 2), (1, 1), (1, 2)]
