"""Form fields → lines of "name: value"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymupdf

from fourfold.ingest.lines import SOFT_HYPHEN, Line, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_EMPTY = frozenset({"", "Off"})


def form_lines(page: Any) -> Iterator[Line]:
    """The filled fields of a page, from the top.

    Args:
        page: the `pymupdf.Page`.

    Yields:
        One line of the kind "form" for each field with a value; a ticked box has the name of its state. Passwords are
        left out.
    """
    if not page.parent.is_form_pdf:
        return
    turn = page.rotation_matrix
    fields = sorted(page.widgets(), key=lambda field: (round(field.rect.y0), field.rect.x0))
    for field in fields:
        value = clean(str(field.field_value or "")).strip(SOFT_HYPHEN + " ")
        hidden = (
            field.field_type == pymupdf.PDF_WIDGET_TYPE_TEXT and field.field_flags & pymupdf.PDF_TX_FIELD_IS_PASSWORD
        )
        if value in _EMPTY or hidden or field.field_type == pymupdf.PDF_WIDGET_TYPE_BUTTON:
            continue
        name = clean(field.field_label or field.field_name or "field").strip()
        box = tuple(field.rect * turn)
        yield Line(text=f"{name}: {value}", bbox=box, size=0.0, bold=False, kind="form")


def shows(fields: Iterable[Line], line: Line) -> bool:
    """Whether a line of the page's text is the value of one of its fields, drawn in its place."""
    box = pymupdf.Rect(line.bbox)
    return any(
        box.intersects(pymupdf.Rect(field.bbox)) and field.text.endswith(f": {line.text.strip()}") for field in fields
    )
