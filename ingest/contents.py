"""An opened PDF → its pages' text, outline and title, page by page.

The text layer is read first; pages that are pictures of text go through OCR where it is asked for. What a file has
beside its pages (scripts, attachments) is not run and not read, but noted.
"""

from __future__ import annotations

import logging
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymupdf

from fourfold.ingest.ocr import MIN_CONFIDENCE, OcrError, recognise
from fourfold.ingest.pages import PageText, read_page
from fourfold.ingest.passwords import as_name, unlock
from fourfold.ingest.reading import MAX_FILE_BYTES, MAX_PAGES, ReadOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = logging.getLogger(__name__)

# What PyMuPDF raises on damaged files: MuPDF's own errors, and Python's where it trusts what it finds in the file.
FAULTS = (
    pymupdf.mupdf.FzErrorBase,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
)
_SHRINK_EVERY = 32  # pages; MuPDF's store would else keep fonts and images of 256 MB
_OCR_SHARE = 0.8  # of the time a page has, so that a page that takes too long fails and not its file


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What could be read of a file. `reason` says why nothing could, where nothing could.

    `ocr` holds page and mean word confidence (0 to 100) of the pages read by OCR.
    """

    pages: tuple[PageText, ...] = ()
    failed_pages: tuple[int, ...] = ()
    outline: tuple[tuple[int, str, int], ...] = ()
    title: str = ""
    language: str = ""
    n_pages: int = 0
    reason: str | None = None
    ocr: tuple[tuple[int, float], ...] = ()
    notes: tuple[str, ...] = ()


def read_contents(
    data: bytes, *, name: str, options: ReadOptions, on_page: Callable[[int, int], None] | None = None
) -> Contents:
    """Read a PDF from its bytes.

    Args:
        data: the bytes.
        name: its path relative to the corpus' folder, by which its password is looked up.
        options: see `ReadOptions`.
        on_page: called after each page with its number and how many there are.
    """
    with _quiet_mupdf():
        try:
            return _read(data, name, options, on_page or (lambda *_: None))
        except FAULTS as error:
            return Contents(reason=_why_broken(data, error))


@contextmanager
def _quiet_mupdf() -> Iterator[None]:
    """Keep MuPDF's messages off stderr; they stay readable through `TOOLS.mupdf_warnings`."""
    tools = pymupdf.TOOLS
    shown = tools.mupdf_display_errors(), tools.mupdf_display_warnings()
    tools.mupdf_display_errors(False)
    tools.mupdf_display_warnings(False)
    tools.reset_mupdf_warnings()
    try:
        yield
    finally:
        tools.reset_mupdf_warnings()
        tools.mupdf_display_errors(shown[0])
        tools.mupdf_display_warnings(shown[1])


def _read(  # noqa: PLR0911 (one for each way in which a file cannot be read)
    data: bytes, name: str, options: ReadOptions, on_page: Callable[[int, int], None]
) -> Contents:
    if not data:
        return Contents(reason="empty file: 0 bytes")
    if len(data) > MAX_FILE_BYTES:
        return Contents(reason=too_large(len(data)))
    # As bytes: the file is closed already, and cannot change between hashing and reading.
    with pymupdf.open(stream=data, filetype="pdf") as pdf:
        if not pdf.is_pdf:
            return Contents(reason=_not_a_pdf(data))
        password = options.passwords.get(as_name(name))
        notes = ["not encrypted: its password is not needed"] if password and not pdf.needs_pass else []
        if locked := unlock(pdf, password):
            return Contents(reason=locked)
        if pdf.page_count == 0:
            return Contents(reason=_why_no_pages(data, repaired=pdf.is_repaired))
        if pdf.page_count > MAX_PAGES:
            return Contents(reason=f"it declares {pdf.page_count:,} pages, over {MAX_PAGES:,}; split it")
        notes += _beside_pages(pdf)
        run = _Pages(options, on_page)
        run.read(pdf)
        return Contents(
            pages=tuple(run.pages),
            failed_pages=tuple(run.failed),
            outline=_outline(pdf),
            title=plain((pdf.metadata or {}).get("title")),
            language=plain(pdf.language),
            n_pages=pdf.page_count,
            reason=_why_no_text(run.pages, options),
            ocr=tuple(run.ocr),
            notes=tuple(notes + run.notes),
        )


class _Pages:
    """The reading loop: one page at a time, so that no more than one is held as MuPDF has it."""

    def __init__(self, options: ReadOptions, on_page: Callable[[int, int], None]) -> None:
        self.pages: list[PageText] = []
        self.failed: list[int] = []
        self.ocr: list[tuple[int, float]] = []
        self.notes: list[str] = []
        self._options = options
        self._on_page = on_page

    def read(self, pdf: Any) -> None:
        n_pages = pdf.page_count
        for number in range(1, n_pages + 1):
            try:
                self.pages.append(self._page(pdf[number - 1], number))
            except FAULTS as error:
                _log.debug("page %d: %s", number, error)
                self.failed.append(number)
            if number % _SHRINK_EVERY == 0:
                pymupdf.TOOLS.store_shrink(100)
            self._on_page(number, n_pages)

    def _page(self, page: Any, number: int) -> PageText:
        text = read_page(page, number=number)
        ocr = self._options.ocr
        wanted = ocr.mode == "force" or (ocr.mode == "auto" and text.content in {"images", "drawings"})
        if not wanted or ocr.missing:
            return text
        try:
            timeout_s = _OCR_SHARE * self._options.seconds_per_page
            read, confidence = recognise(page, text, language=ocr.language, timeout_s=timeout_s)
        except OcrError as error:
            self.notes.append(f"page {number}: {error}")
            return text
        if confidence is None:
            return text
        self.ocr.append((number, confidence))
        if confidence < MIN_CONFIDENCE:
            self.notes.append(f"page {number}: OCR is {confidence:.0f} of 100 sure of its words, left out")
            return text
        return read


def _outline(pdf: Any) -> tuple[tuple[int, str, int], ...]:
    try:
        return tuple((int(level), plain(title), int(page)) for level, title, page, *_ in pdf.get_toc())
    except FAULTS:
        return ()  # a damaged outline is as good as none: headings are told by their looks


def _beside_pages(pdf: Any) -> list[str]:
    """What is noted of a file that was opened. Scripts of single form fields and links are not looked for."""
    notes = ["damaged, repaired by MuPDF"] if pdf.is_repaired else []
    try:
        if n_attached := pdf.embfile_count():
            notes.append(f"{n_attached} attachment(s) ignored")
        catalog = pdf.pdf_catalog()
        scripts = [pdf.xref_get_key(catalog, key) for key in ("Names/JavaScript", "OpenAction/JS", "AA")]
        if any(kind != "null" for kind, _ in scripts):
            notes.append("JavaScript ignored")
    except FAULTS:
        notes.append("its catalog is damaged")
    return notes


def plain(text: object) -> str:
    """A string of the file's that can be printed and stored: no controls, no halves of surrogate pairs."""
    kept = "".join(letter for letter in str(text or "") if unicodedata.category(letter) not in {"Cc", "Cs"})
    return unicodedata.normalize("NFC", " ".join(kept.split()))


def too_large(n_bytes: int) -> str:
    """Why a file of so many bytes is not read."""
    return f"{n_bytes / 1e9:.1f} GB, over {MAX_FILE_BYTES / 1e9:.0f} GB; split it"


def _why_no_text(pages: list[PageText], options: ReadOptions) -> str | None:
    contents = {page.content for page in pages}
    if "text" in contents:
        return None
    remedy = f"install {options.ocr.missing}" if options.ocr.missing else "OCR it first"
    if options.ocr.mode != "off" and not options.ocr.missing:
        remedy = "OCR found none either"
    if "images" in contents:
        return f"image only: no text layer; {remedy}"
    if "drawings" in contents:
        return f"no text: only drawings (letters drawn as shapes, perhaps); {remedy}"
    return "blank: no text and no images on any page" if pages else "broken beyond repair: no page could be read"


def _why_no_pages(data: bytes, *, repaired: bool) -> str:
    if not _is_pdf(data):
        return _not_a_pdf(data)
    return "broken beyond repair: no pages are left, as if the file were cut short" if repaired else "no pages"


def _is_pdf(data: bytes) -> bool:
    return b"%PDF-" in data[:1024]  # where readers look for it (ISO 32000-1, annex H, note 13)


def _not_a_pdf(data: bytes) -> str:
    return f"not a PDF: it starts with {data[:16]!r} in place of %PDF-"


def _why_broken(data: bytes, error: Exception) -> str:
    if not _is_pdf(data):
        return _not_a_pdf(data)
    if isinstance(error, MemoryError):
        return "too large: it needs more memory than a reader may use"
    said = (pymupdf.TOOLS.mupdf_warnings(reset=0) or str(error)).strip().splitlines()
    return f"broken beyond repair: MuPDF says {said[0] if said else type(error).__name__!r}"
