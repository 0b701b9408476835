from __future__ import annotations

from typing import TYPE_CHECKING

import pymupdf

from fourfold.ingest.pdf import parse_pdf, read_pdf

if TYPE_CHECKING:
    from pathlib import Path


def form(*fields: tuple[str, str, int]) -> bytes:
    """A form with one text field below the other: name, value, flags."""
    with pymupdf.open() as pdf:
        page = pdf.new_page()
        page.insert_text((72, 60), "Fill in this form.")
        for at, (name, value, flags) in enumerate(fields):
            widget = pymupdf.Widget()
            widget.field_type = pymupdf.PDF_WIDGET_TYPE_TEXT
            widget.field_name, widget.field_value, widget.field_flags = name, value, flags
            widget.rect = pymupdf.Rect(72, 100 + 40 * at, 300, 120 + 40 * at)
            page.add_widget(widget)
        data: bytes = pdf.tobytes()
        return data


def texts(data: bytes) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in parse_pdf(data, name="a.pdf")[1]]


def test_filled_fields_are_one_block_of_names_and_values() -> None:
    read = texts(form(("Crop", "Barley", 0), ("Year", "", 0), ("Farm", "Low Mill", 0)))
    assert read == [("text", "Fill in this form."), ("form", "Crop: Barley\nFarm: Low Mill")]


def test_passwords_are_left_out() -> None:
    read = texts(form(("Crop", "Barley", 0), ("Key", "sesame", pymupdf.PDF_TX_FIELD_IS_PASSWORD)))
    assert "sesame" not in str([text for kind, text in read if kind == "form"])


def test_an_empty_form_has_no_fields() -> None:
    assert texts(form(("Crop", "", 0))) == [("text", "Fill in this form.")]


def test_a_real_form_is_read_with_its_language(test_data: Path) -> None:
    document, blocks = read_pdf(test_data / "pdf" / "difficult" / "libreoffice-form.pdf")
    assert document.language == "en"
    (block,) = [block for block in blocks if block.kind == "form"]
    assert block.text == "First Name: Alice\nFirst Name_2: Bob"
    assert not any(block.text in {"Alice", "Bob"} for block in blocks)
