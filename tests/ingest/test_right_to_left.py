"""Right-to-left text comes in the order in which it is read, as one paragraph, with its numbers as they stand."""

from __future__ import annotations

from pathlib import Path

import pymupdf
import pytest

from fourfold.ingest.pdf import parse_pdf, read_pdf

PARAGRAPHS = (
    "השעורה נזרעת בתחילת האביב ברגע שאפשר לעבד את הקרקע, כי שדה מאוחר פוגש את השבועות היבשים של יוני.",
    "פסקה שנייה עם המספר 42 בתוכה.",
)


def test_lines_of_a_paragraph_are_joined_in_reading_order() -> None:
    style = "text-align:right;font-size:11pt"
    with pymupdf.open() as pdf:
        html = "".join(f'<p dir="rtl" style="{style}">{text}</p>' for text in PARAGRAPHS)
        pdf.new_page().insert_htmlbox(pymupdf.Rect(72, 72, 300, 400), html)
        data = pdf.tobytes()
        n_lines = pdf[0].get_text().count("\n")
    document, blocks = parse_pdf(data, name="hebrew.pdf")
    assert n_lines > len(PARAGRAPHS)
    assert tuple(block.text for block in blocks) == PARAGRAPHS
    assert document.kept[0][1] == 1.0


@pytest.mark.parametrize("name", ["habibi.pdf", "habibi-rotated.pdf"])
def test_an_arabic_word_keeps_its_letters_in_order_however_its_page_is_turned(test_data: Path, name: str) -> None:
    document, blocks = read_pdf(test_data / "pdf" / "difficult" / name)
    word = "حَبيبي"
    assert len(blocks) == document.n_pages
    assert all(block.text.startswith(word) and word[::-1] not in block.text for block in blocks)
