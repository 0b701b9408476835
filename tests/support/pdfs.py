"""PDF files made for tests: lines of text at given places, and the ways in which a file can be unusable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymupdf

if TYPE_CHECKING:
    from collections.abc import Sequence

A4 = (595.0, 842.0)
QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "corpus"

PROSE = (
    "Barley is sown in early spring as soon as the soil",
    "can be worked, because a late stand meets the dry",
    "weeks of June before its roots have gone down far",
    "enough; on light land that alone costs a third of",
    "the grain, whatever is spread on the field later.",
)

# The smallest sound file without a page; PyMuPDF refuses to write one.
NO_PAGES = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"xref\n0 3\n0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \n"
    b"trailer<</Root 1 0 R/Size 3>>\nstartxref\n96\n%%EOF\n"
)


@dataclass(frozen=True)
class Text:
    """A line of text whose base line starts at x, y (points from the top left)."""

    x: float
    y: float
    text: str
    size: float = 10
    bold: bool = False


def column(x: float, y: float, lines: Sequence[str], *, size: float = 10, leading: float = 12) -> list[Text]:
    return [Text(x, y + leading * at, line, size) for at, line in enumerate(lines)]


def write(page: Any, texts: Sequence[Text]) -> None:
    for text in texts:
        font = "hebo" if text.bold else "helv"
        page.insert_text((text.x, text.y), text.text, fontsize=text.size, fontname=font)


def pdf_bytes(
    pages: Sequence[Sequence[Text]],
    *,
    toc: Sequence[tuple[int, str, int]] = (),
    rotation: int = 0,
    title: str = "",
    **save: Any,
) -> bytes:
    """A PDF with one page per list of texts; `save` goes to `Document.tobytes`."""
    with pymupdf.open() as pdf:
        for texts in pages:
            page = pdf.new_page(width=A4[0], height=A4[1])
            write(page, texts)
            page.set_rotation(rotation)
        if toc:
            pdf.set_toc([list(entry) for entry in toc])
        pdf.set_metadata({"title": title})
        data: bytes = pdf.tobytes(**save)
        return data


def encrypted_pdf(*, user_password: str) -> bytes:
    return pdf_bytes(
        [[Text(72, 100, "Under lock and key.")]],
        encryption=pymupdf.PDF_ENCRYPT_AES_256,
        owner_pw="owner",
        user_pw=user_password,
    )


def picture_pdf(*, texts: Sequence[Sequence[Text]] = ((),)) -> bytes:
    """A PDF with a picture on each page, over the page's texts."""
    pixels = pymupdf.Pixmap(pymupdf.csGRAY, pymupdf.IRect(0, 0, 40, 40), 0)
    pixels.clear_with(128)
    with pymupdf.open() as pdf:
        for some in texts:
            page = pdf.new_page(width=A4[0], height=A4[1])
            page.insert_image(pymupdf.Rect(72, 300, 400, 600), pixmap=pixels)
            write(page, some)
        data: bytes = pdf.tobytes()
        return data


def drawing_pdf() -> bytes:
    with pymupdf.open() as pdf:
        pdf.new_page().draw_line((10, 10), (200, 300))
        data: bytes = pdf.tobytes()
        return data
