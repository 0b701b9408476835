"""PDF files that mean harm, written object by object: what no library would write."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pymupdf

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXT = b"BT /F1 12 Tf 72 700 Td (Hello page.) Tj ET"
_FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
_BOX = b"/MediaBox[0 0 595 842]"


def pdf_of(objects: Sequence[bytes]) -> bytes:
    """A file of these objects, numbered from 1; the first is the catalog."""
    data, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    trailer = b"trailer<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(data))
    return data + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + trailer


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(data), data)


def page_pdf(*, catalog: bytes = b"", count: int = 1, content: bytes = _TEXT, more: Sequence[bytes] = ()) -> bytes:
    """A file with one page of text, and what is wrong with it."""
    page = b"<</Type/Page/Parent 2 0 R%s/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>" % _BOX
    pages = b"<</Type/Pages/Kids[3 0 R]/Count %d>>" % count
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog, pages, page, stream(content), _FONT, *more])


def many_pages_pdf(count: int, *, n_objects: int = 0) -> bytes:
    """One page, and a page tree that declares `count`; `n_objects` further objects make that look possible."""
    return page_pdf(count=count, more=[b"null"] * n_objects)


def nested_pdf(depth: int) -> bytes:
    """An array in an array in an array, in the catalog."""
    return page_pdf(catalog=b"/X " + b"[" * depth + b"]" * depth)


def nested_content_pdf(depth: int) -> bytes:
    """The same in a page's content, with as many saved graphics states."""
    return page_pdf(content=_TEXT + b" " + b"[" * depth + b"]" * depth + b" TJ " + b"q " * depth)


def deep_tree_pdf(depth: int) -> bytes:
    """A page below so many levels of the page tree."""
    levels = [b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % (at + 3) for at in range(depth)]
    fonts = b"/Resources<</Font<</F1 %d 0 R>>>>" % (depth + 4)
    page = b"<</Type/Page/Parent 2 0 R%s/Contents %d 0 R%s>>" % (_BOX, depth + 3, fonts)
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", *levels, page, stream(_TEXT), _FONT])


def looping_tree_pdf() -> bytes:
    """A page tree that holds itself."""
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R]/Count 1>>"])


def exploding_pdf(levels: int) -> bytes:
    """Forms that draw the next form ten times each: 10 ** levels lines of text, which is to say it never ends."""
    page = b"<</Type/Page/Parent 2 0 R%s/Contents 4 0 R/Resources<</XObject<</X 6 0 R>>>>>>" % _BOX
    kids = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", kids, page, stream(b"/X Do"), _FONT]
    for level in range(levels):
        uses = b"/Resources<</Font<</F1 5 0 R>>/XObject<</X %d 0 R>>>>" % (7 + level)
        body = b"/X Do " * 10 if level < levels - 1 else _TEXT
        objects.append(stream(body, b"/Type/XObject/Subtype/Form/BBox[0 0 595 842]" + uses))
    return pdf_of(objects)


def picture_bomb_pdf(side: int) -> bytes:
    """A page with a black picture of `side` × `side` pixels of three bytes each, in a file of about a megabyte."""
    packer = zlib.compressobj(9)
    row = bytes(3 * side)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    measures = b"/Width %d/Height %d/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/FlateDecode" % (side, side)
    page = b"<</Type/Page/Parent 2 0 R%s/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>>>>>" % _BOX
    kids = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
    picture = stream(data, b"/Type/XObject/Subtype/Image" + measures)
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", kids, page, stream(b"q 595 0 0 842 0 0 cm /X Do Q"), picture])


def script_pdf() -> bytes:
    """A file that asks a viewer to run a script when it is opened."""
    return page_pdf(catalog=b"/OpenAction<</S/JavaScript/JS(app.alert\\('run'\\))>>")


def attached_pdf() -> bytes:
    """A file with another one attached, under a name that would leave the folder."""
    with pymupdf.open() as pdf:
        pdf.new_page().insert_text((72, 100), "Text beside an attachment.")
        pdf.embfile_add("note", b"attached", filename="../../escaped.txt")
        data: bytes = pdf.tobytes()
        return data
