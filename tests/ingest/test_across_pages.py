"""Paragraphs that go on over the page are one block again, whatever stands between their parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.pdfs import PROSE, Text, column, pdf_bytes

from fourfold.ingest.pdf import parse_pdf, read_pdf
from fourfold.ingest.quotes import locate, page_span
from fourfold.types import BLOCK_SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourfold.types import Block

BEFORE = (
    "Oats are not so easily hurt by a late frost, and the",
    "yield of a field that was sown in April is about the",
    "same as that of one sown in March, as far as the soil",
    "was damp. That is what was found on the eleven experi-",
)
AFTER = (
    "mental fields of the county in those years, and it",
    "holds for spelt as well.",
)


def page(number: int, lines: Sequence[str], *, y: float) -> list[Text]:
    """Body text between a running header and a page number."""
    return [
        Text(72, 40, "Fields of the county", 9),
        *column(72, 80, PROSE),
        *column(72, y, lines),
        Text(290, 812, str(number), 9),
    ]


@pytest.fixture(scope="module")
def made() -> tuple[Block, ...]:
    """Four pages; the second one's last paragraph goes on at the top of the third, a footnote and headers between."""
    pages = [page(number, PROSE, y=180) for number in (1, 2, 3, 4)]
    pages[1] += [*column(72, 700, BEFORE), Text(72, 770, "1 The frosts of those years were late ones, too.", 8)]
    pages[2] = [Text(72, 40, "Fields of the county", 9), *column(72, 80, AFTER), *column(72, 160, PROSE),
                Text(290, 812, "3", 9)]  # fmt: skip
    # A document's own words tell whether a hyphen at a line's end was its author's.
    pages[3].append(Text(72, 400, "These were experimental fields.", 10))
    _, blocks = parse_pdf(pdf_bytes(pages), name="made.pdf")
    return blocks


def test_the_parts_are_one_block_and_the_divided_word_is_whole(made: tuple[Block, ...]) -> None:
    (joined,) = [block for block in made if block.page_last is not None]
    assert (joined.kind, joined.page, joined.page_last) == ("text", 2, 3)
    assert joined.text == " ".join((*BEFORE, *AFTER)).replace("experi- mental", "experimental")


def test_what_stands_between_is_neither_in_it_nor_lost(made: tuple[Block, ...]) -> None:
    assert [block.text for block in made if block.kind == "footnote"] == [
        "1 The frosts of those years were late ones, too."
    ]
    assert not any("Fields of the county" in block.text for block in made)
    text = BLOCK_SEPARATOR.join(block.text for block in made)
    # Two paragraphs on each page but the third, which has the one and the end of another.
    assert text.count(PROSE[0]) == 7


@pytest.mark.parametrize("number", [2, 3])
def test_a_quote_from_either_part_is_found_on_its_page_and_on_the_other(made: tuple[Block, ...], number: int) -> None:
    start, end = page_span(made, number) or (0, 0)
    text = BLOCK_SEPARATOR.join(block.text for block in made)
    for quote in ("Oats are not so easily hurt", "it holds for spelt as well.", "eleven experi-\nmental fields"):
        assert locate(quote, text, start=start, end=end) is not None
    assert locate("spelt", text, start=(page_span(made, 4) or (0, 0))[0], end=len(text)) is None


# Read in the files themselves: where a paragraph breaks off at the foot of a page, and the words before and after.
REAL = {
    "federal-register-2020-17221.pdf": [
        (1, "Reports 1 from the accident", "flight control system 2 generated repeated"),
        (2, "In addition to these four design changes", "undergoing a public notice and comment process."),
        (3, "To reduce the workload", "potential cause for unreliable airspeed conditions."),
        (6, "Before further flight, revise the existing AFM", "into the existing AFM."),
    ],
    "multicolumn.pdf": [(1, "Fusce mauris. Vestibulum luctus nibh", "Curabitur consectetuer.")],
}


@pytest.mark.parametrize("name", list(REAL))
def test_paragraphs_of_real_files_are_joined_over_the_page(test_data: Path, name: str) -> None:
    document, blocks = read_pdf(test_data / "pdf" / "difficult" / name)
    joined = [block for block in blocks if block.page_last is not None]
    for number, first, last in REAL[name]:
        assert any(b.page == number and first in b.text and last in b.text for b in joined), (number, first)
    assert all(block.page_last == block.page + 1 for block in joined)
    assert min(share for _, share in document.kept) >= 0.99


def test_a_real_manuals_paragraphs_are_joined_and_those_that_end_are_not(
    quickstart: dict[Path, tuple[object, tuple[Block, ...]]],
) -> None:
    blocks = [block for _, own in quickstart.values() for block in own]
    joined = [block for block in blocks if block.page_last is not None and block.kind == "text"]
    assert any("underscore. This minimizes collisions" in block.text for block in joined)
    assert any(
        block.text.startswith("If you upload a package to testing") and "+deb12u1" in block.text for block in joined
    )
    assert not any("emacs: the help prefix The interpretation" in block.text for block in blocks)
    assert 8 <= len(joined) <= 30
