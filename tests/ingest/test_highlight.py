from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pymupdf
import pytest
from support.pdfs import PROSE, QUICKSTART, Text, column, pdf_bytes

from fourfold.ingest.highlight import Rectangle, block_rectangles, line_rectangles
from fourfold.ingest.pdf import parse_pdf
from fourfold.ingest.quotes import locate, page_span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fourfold.types import Block, Document


def shown(data: bytes, quote: str) -> tuple[Rectangle, ...] | None:
    """The rectangles of a quote of a PDF."""
    _, blocks = parse_pdf(data, name="made.pdf")
    text = "\n\n".join(block.text for block in blocks)
    start, end = locate(quote, text, start=0, end=len(text)) or (0, 0)
    with pymupdf.open(stream=data) as pdf:
        return line_rectangles(pdf, blocks, start=start, end=end)


def words_in(data: bytes, rectangles: Sequence[Rectangle] | None) -> list[str]:
    """What a reader sees within each rectangle."""
    with pymupdf.open(stream=data) as pdf:
        inner = [(r.page, (r.bbox[0] - 1, r.bbox[1] + 2, r.bbox[2] + 1, r.bbox[3] - 2)) for r in rectangles or ()]
        return [" ".join(pdf[page - 1].get_textbox(pymupdf.Rect(box)).split()) for page, box in inner]


PLAIN = pdf_bytes([[*column(72, 100, PROSE), *column(72, 300, PROSE)]])


def test_a_span_has_a_rectangle_for_each_line() -> None:
    found = shown(PLAIN, "as the soil can be worked, because")
    assert words_in(PLAIN, found) == ["as the soil", "can be worked, because"]
    first, second = found or ()
    assert first.bbox[0] > second.bbox[0] == pytest.approx(72, abs=0.5)
    # The text stands on the page twice; this is the block that was quoted.
    assert second.bbox[3] < 200


def test_the_same_words_in_the_second_paragraph_are_marked_there() -> None:
    _, blocks = parse_pdf(PLAIN, name="made.pdf")
    with pymupdf.open(stream=PLAIN) as pdf:
        (line,) = line_rectangles(pdf, blocks, start=blocks[1].start, end=blocks[1].start + 16) or ()
    assert line.bbox[1] == pytest.approx(300 - 10, abs=4)


def test_a_divided_word_and_a_span_over_the_page_are_found() -> None:
    before = ["A stand that is late meets the dry weeks of June", "and it is no wonder that its yield is experi-"]
    after = ["mental and small in", "every year and place."]
    data = pdf_bytes([[*column(72, 700, before)], [*column(72, 60, after), *column(72, 200, PROSE)]])
    found = shown(data, "its yield is experi-\nmental and small in every year")
    assert words_in(data, found) == ["its yield is experi-", "mental and small in", "every year"]
    assert [rectangle.page for rectangle in found or ()] == [1, 2, 2]


def test_a_turned_page_has_its_rectangles_as_it_is_shown() -> None:
    data = pdf_bytes([column(72, 100, PROSE)], rotation=90)
    (upright,) = shown(pdf_bytes([column(72, 100, PROSE)]), "can be worked") or ()
    (turned,) = shown(data, "can be worked") or ()
    # Turned by 90 degrees to the right: what was at the left is at the top.
    assert turned.bbox[1] == pytest.approx(upright.bbox[0], abs=0.5)
    assert turned.bbox[3] - turned.bbox[1] == pytest.approx(upright.bbox[2] - upright.bbox[0], abs=0.5)


def test_what_is_not_on_the_page_has_none() -> None:
    _, blocks = parse_pdf(PLAIN, name="made.pdf")
    with pymupdf.open(stream=pdf_bytes([[Text(72, 100, "Another page.")]])) as other:
        assert line_rectangles(other, blocks, start=0, end=20) is None
        assert line_rectangles(other, blocks, start=5, end=5) is None


def test_blocks_are_known_without_the_file() -> None:
    _, blocks = parse_pdf(PLAIN, name="made.pdf")
    found = block_rectangles(blocks, start=blocks[0].end - 1, end=blocks[1].start + 1)
    assert found == tuple(Rectangle(page=1, bbox=block.bbox) for block in blocks)
    assert block_rectangles(blocks, start=blocks[0].end, end=blocks[1].start) == ()


def test_the_quickstarts_quotes_are_found_on_their_pages(
    quickstart: dict[Path, tuple[Document, tuple[Block, ...]]],
) -> None:
    rows = map(json.loads, (QUICKSTART.parent / "questions.jsonl").read_text(encoding="utf-8").splitlines())
    by_name = {path.name: path for path in quickstart}
    found = []
    pdfs = {name: pymupdf.open(path) for name, path in by_name.items()}
    for row in rows:
        _, blocks = quickstart[by_name[row["document"]]]
        text = "\n\n".join(block.text for block in blocks)
        region = page_span(blocks, row["page"]) or (0, 0)
        start, end = locate(row["quote"], text, start=region[0], end=region[1]) or (0, 0)
        lines = line_rectangles(pdfs[row["document"]], blocks, start=start, end=end)
        found.append(lines is not None and row["page"] in {line.page for line in lines})
    for pdf in pdfs.values():
        pdf.close()
    assert sum(found) / len(found) >= 0.95
