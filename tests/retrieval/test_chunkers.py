"""What holds of every chunker, and what each of them is for; sizes in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest

from fourfold.retrieval.chunk import chunk_documents
from fourfold.retrieval.chunkers.choose import make_chunker
from fourfold.study import IndexSettings
from fourfold.types import BLOCK_SEPARATOR, Block, Chunk

CHUNKERS = get_args(IndexSettings.model_fields["chunker"].annotation)


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def manual(*sections: tuple[str, Sequence[str]], doc_id: str = "d") -> list[Block]:
    """A heading and its paragraphs for each section."""
    blocks: list[Block] = []
    start = 0
    for title, paragraphs in sections:
        for at, text in enumerate((title, *paragraphs)):
            kind = "text" if at else "heading"
            blocks.append(
                Block(
                    doc_id=doc_id, position=len(blocks), kind=kind, page=1, bbox=(0, 0, 1, 1), start=start,
                    end=start + len(text), section=(title,), text=text,
                )
            )  # fmt: skip
            start += len(text) + len(BLOCK_SEPARATOR)
    return blocks


def cut(chunker: str, blocks: Sequence[Block], *, size: int = 16, overlap: int = 0) -> tuple[Chunk, ...]:
    settings = IndexSettings.model_validate({"chunker": chunker, "chunk_tokens": size, "chunk_overlap": overlap})
    return make_chunker(settings, count_words).chunk(blocks)


def texts(chunks: Sequence[Chunk]) -> list[str]:
    return [" ".join(chunk.text.split()) for chunk in chunks]


def sentences(n: int, word: str = "word") -> str:
    """Sentences of four words."""
    return " ".join(f"The {word} number {at}." for at in range(n))


BLOCKS = [
    *manual(("One", [sentences(9, "valve"), " ".join(["long"] * 40) + "."]), ("Two", []), ("Three", ["Short."])),
    *manual(("Four", [sentences(3)]), doc_id="e"),
]


@pytest.mark.parametrize("chunker", CHUNKERS)
@pytest.mark.parametrize("size", [16, 17, 100])
def test_chunks_are_exact_no_longer_than_asked_and_hold_every_word(chunker: str, size: int) -> None:
    chunks = cut(chunker, BLOCKS, size=size)
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)
    for doc_id in ("d", "e"):
        text = BLOCK_SEPARATOR.join(block.text for block in BLOCKS if block.doc_id == doc_id)
        own = [chunk for chunk in chunks if chunk.doc_id == doc_id]
        assert [chunk.position for chunk in own] == list(range(len(own)))
        assert [chunk.start for chunk in own] == sorted(chunk.start for chunk in own)
        assert all(chunk.text == text[chunk.start : chunk.end] for chunk in own)
        covered = {at for chunk in own for at in range(chunk.start, chunk.end)}
        assert all(at in covered or letter.isspace() for at, letter in enumerate(text))
    assert all(0 < chunk.n_tokens == len(chunk.text.split()) <= size for chunk in chunks)


@pytest.mark.parametrize("chunker", [name for name in CHUNKERS if name != "tokens"])
def test_none_but_fixed_tokens_reaches_over_two_sections(chunker: str) -> None:
    chunks = cut(chunker, manual(("One", [sentences(2)]), ("Two", [sentences(2, "pump")])), size=100)
    assert {chunk.section for chunk in chunks} == {("One",), ("Two",)}
    assert not [chunk for chunk in chunks if "valve" in chunk.text and "pump" in chunk.text]
    assert not [chunk for chunk in chunks if "word" in chunk.text and "pump" in chunk.text]


@pytest.mark.parametrize("chunker", [name for name in CHUNKERS if name != "tokens"])
def test_a_heading_without_text_goes_with_what_follows_it(chunker: str) -> None:
    (chunk,) = cut(chunker, manual(("Part", []), ("One", ["The end of it."])), size=100)
    assert (texts([chunk]), chunk.section) == (["Part One The end of it."], ("One",))


def test_fixed_tokens_is_what_studies_had() -> None:
    assert cut("tokens", BLOCKS, overlap=4) == chunk_documents(BLOCKS, count_words, max_tokens=16, overlap=4)


def test_a_section_that_is_too_long_is_cut_with_overlap() -> None:
    chunks = cut("section", manual(("One", [sentences(5)])), size=16, overlap=4)
    assert texts(chunks) == [f"One {sentences(3)}", "The word number 2. The word number 3. The word number 4."]


def test_a_window_begins_in_the_middle_of_the_one_before() -> None:
    chunks = cut("sentence_window", manual(("One", [sentences(7)])), size=17)
    told = [[int(word[:-1]) for word in text.split() if word[0].isdigit()] for text in texts(chunks)]
    # The first has the heading, which counts as a sentence.
    assert told == [[0, 1, 2, 3], [1, 2, 3, 4], [3, 4, 5, 6]]


def test_a_window_is_no_part_of_another_one() -> None:
    blocks = manual(("One", ["A b c. " + " ".join(["long"] * 14) + ". D e f g h i j k l. M n. O."]))
    spans = [(chunk.start, chunk.end) for chunk in cut("sentence_window", blocks)]
    assert not [1 for a in spans for b in spans if a != b and a[0] <= b[0] and b[1] <= a[1]]


def test_smaller_sizes_are_parts_of_larger_ones_and_stand_once() -> None:
    chunks = cut("hierarchical", manual(("", [sentences(8)])), size=16)
    told = [[int(word[:-1]) for word in text.split() if word[0].isdigit()] for text in texts(chunks)]
    assert told == [
        [0, 1, 2, 3], [0, 1], [0], [1], [2, 3], [2], [3],
        [4, 5, 6, 7], [4, 5], [4], [5], [6, 7], [6], [7],
    ]  # fmt: skip
    assert texts(cut("hierarchical", manual(("One", ["Short."])))) == ["One Short."]
