"""A question's quote on the pages that hold it, as pictures: the PDF is read where the study said that it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.app.context import Context
from fourfold.app.dashboard.results import open_run
from fourfold.digest import digest_of_file
from fourfold.errors import DocumentError
from fourfold.ingest.highlight import Rectangle, block_rectangles, line_rectangles
from fourfold.types import Question

_DPI = 110
# Marker's yellow, dark enough at its edge to be seen on a yellow page and in grey.
_FILL, _EDGE = (1.0, 0.85, 0.2), (0.75, 0.45, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One page, from 1, as PNG."""

    page: int
    png: bytes


def draw_pages(runs: Path, run: int, question_id: str) -> tuple[Picture, ...]:
    """The pages of a question's quote, the quote marked line by line, or block by block where its lines are not found.

    Args:
        runs: the working folder.
        run: a finished run of it.
        question_id: of a test question with a quote.

    Raises:
        StoreError: the run cannot be read.
        DocumentError: the file is gone, is another one than was read, or needs a password.
    """
    with open_run(runs, run) as context:
        question = next(q for q in context.questions("test") if q.question_id == question_id)
        blocks = [block for block in context.blocks if block.doc_id == question.doc_id]
        with _open(context, question) as pdf:
            found = line_rectangles(pdf, blocks, start=question.start, end=question.end)
            if found is None:
                found = block_rectangles(blocks, start=question.start, end=question.end)
            pages = sorted({rectangle.page for rectangle in found})
            return tuple(Picture(page=page, png=_draw(pdf[page - 1], found, page)) for page in pages)


def _open(context: Context, question: Question) -> Any:
    import pymupdf

    path = context.study.corpus.folder / question.document
    if not path.is_file():
        raise _no_page(question, f"{path} is not there any more")
    if not digest_of_file(path).startswith(question.doc_id):
        raise _no_page(question, f"{path} is not the file that was read")
    try:
        pdf = pymupdf.open(path)
    except (RuntimeError, ValueError, OSError) as error:
        raise _no_page(question, str(error)) from error
    if pdf.needs_pass:
        pdf.close()
        raise _no_page(question, f"{path} is encrypted, and no password is kept")
    return pdf


def _draw(page: Any, found: tuple[Rectangle, ...], number: int) -> bytes:
    import pymupdf

    for rectangle in found:
        if rectangle.page == number:
            # Rectangles are those of the page as displayed; drawing is done on the page before it is turned.
            box = pymupdf.Rect(rectangle.bbox) * page.derotation_matrix
            page.draw_rect(box, color=_EDGE, fill=_FILL, fill_opacity=0.35, width=0.6)
    png: bytes = page.get_pixmap(dpi=_DPI, annots=False).tobytes("png")
    return png


def _no_page(question: Question, seen: str) -> DocumentError:
    return DocumentError(
        "the page cannot be shown",
        seen=seen,
        expected=f"{question.document} as the study read it",
        hint="put the file back, or run the study again",
    )
