"""Pages that are pictures of text → lines, by the Tesseract command.

The command and not the Tesseract inside MuPDF, because only the command tells how sure it is of each word. Pages that
lie on their side or upside down are turned by Tesseract's own script detection.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pymupdf

from fourfold.ingest.lines import Line, clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourfold.ingest.pages import PageText
    from fourfold.types import BBox

OcrMode = Literal["auto", "force", "off"]
PACKAGE = "tesseract-ocr"  # its name in Debian and Ubuntu; language data are PACKAGE-deu and so on

MIN_CONFIDENCE = 75.0
# Of 100, mean over a page's words. On the scans of tests/ingest/fixtures/difficult.json running text, skewed and turned
# too, has 86 to 96; tables of contents whose rows of dots are read as letters 50 to 70, a chart's axes 68. A text is
# never invented.

_DPI = 300  # what Tesseract's manual asks for
_MAX_PIXELS = 40_000_000  # of the rendered page, one byte each: A2 at 300 dpi; larger pages are rendered coarser
_MAX_IMAGE_BYTES = 400_000_000  # of one decoded picture: a reader's 600 MB less what it needs itself
_START_S = 30.0
_SIZE = 10.0  # points given to a line of usual height: Tesseract tells heights of boxes, not of type


@dataclass(frozen=True, slots=True, kw_only=True)
class Tesseract:
    """The installed program: its version and the languages it has data for."""

    version: str
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ocr:
    """Which pages are read by OCR.

    `mode`: "auto" pages without a text layer, "force" every page, "off" none. `language` in Tesseract's names, several
    joined by "+". `tesseract` is None where the program is not installed.
    """

    mode: OcrMode = "off"
    language: str = "eng"
    tesseract: Tesseract | None = None

    @property
    def missing(self) -> str | None:
        """What is to be installed before a page can be read; None where nothing is, or where OCR is off."""
        if self.mode == "off":
            return None
        if self.tesseract is None:
            return f"the program Tesseract (package {PACKAGE})"
        lacking = [name for name in self.language.split("+") if name not in self.tesseract.languages]
        packages = ", ".join(f"{PACKAGE}-{name.replace('_', '-').lower()}" for name in lacking)
        return f"Tesseract's data for {', '.join(lacking)} (package {packages})" if lacking else None


class Recognised(NamedTuple):
    """A page read by OCR, and the mean confidence (0 to 100) of its words; None where it found no words."""

    page: PageText
    confidence: float | None


class OcrError(RuntimeError):
    """A page that OCR could not read; the message says why."""


class _Word(NamedTuple):
    line: tuple[int, int, int]  # Tesseract's block, paragraph, line
    box: BBox
    confidence: float
    text: str


def find_tesseract() -> Tesseract | None:
    """The Tesseract command on the search path, or None."""
    try:
        version = _ask("--version").split()[1]
        lines = _ask("--list-langs").splitlines()
    except (OSError, subprocess.SubprocessError, IndexError):
        return None
    return Tesseract(version=version, languages=tuple(sorted(lines[1:])))


def _ask(option: str) -> str:
    command = ["tesseract", option]
    done = subprocess.run(command, capture_output=True, check=True, timeout=_START_S)  # noqa: S603 (options are ours)
    return (done.stdout or done.stderr).decode(errors="replace")


def recognise(page: Any, text: PageText, *, language: str, timeout_s: float) -> Recognised:
    """Read one page by OCR.

    Args:
        page: the `pymupdf.Page`.
        text: what its text layer gave; number and measures are kept.
        language: as in `Ocr`.
        timeout_s: seconds that Tesseract may take.

    Returns:
        Its lines in Tesseract's order, boxes in points as displayed. Lines of usual height have one size, clearly
        higher ones a larger one.

    Raises:
        OcrError: a picture on it is too large, or Tesseract failed or ran out of time.
    """
    largest = max((i["width"] * i["height"] * max(1, i["colorspace"]) for i in page.get_image_info()), default=0)
    if largest > _MAX_IMAGE_BYTES:
        raise OcrError(f"a picture of {largest / 1e6:,.0f} MB is too large to be read by OCR")
    scale = min(_DPI / 72, (_MAX_PIXELS / max(1.0, text.width * text.height)) ** 0.5)
    pixels = page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), colorspace=pymupdf.csGRAY, alpha=False)
    words = _words(_run(pixels.tobytes("pgm"), language, dpi=round(72 * scale), timeout_s=timeout_s), scale)
    if not words:
        return Recognised(text, None)
    blocks = tuple(_blocks(words))
    confidence = round(fmean(word.confidence for word in words), 1)
    return Recognised(replace(text, blocks=blocks, content="text"), confidence)


def _run(picture: bytes, language: str, *, dpi: int, timeout_s: float) -> str:
    # One thread: the readers already use every CPU. Segmentation 1 finds the page's orientation too.
    command = ["env", "OMP_THREAD_LIMIT=1", "tesseract", "stdin", "stdout", "-l", language, "--dpi", str(dpi)]
    command += ["--psm", "1", "tsv"]
    try:
        done = subprocess.run(command, input=picture, capture_output=True, check=False, timeout=timeout_s)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise OcrError(f"OCR took over {timeout_s:.0f} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise OcrError(f"Tesseract says {said[-1] if said else done.returncode}")
    return done.stdout.decode(errors="replace")


def _words(table: str, scale: float) -> list[_Word]:
    """The words of Tesseract's TSV: level page block par line word left top width height conf text."""
    words = []
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        text = clean(cells[11]).strip() if len(cells) == 12 and cells[0] == "5" else ""
        if text:
            left, top, width, height = (float(cell) / scale for cell in cells[6:10])
            box = (left, top, left + width, top + height)
            words.append(_Word((int(cells[2]), int(cells[3]), int(cells[4])), box, float(cells[10]), text))
    return words


def _blocks(words: Sequence[_Word]) -> list[tuple[Line, ...]]:
    usual = median(_height(word) for word in words)
    blocks = []
    for _, paragraph in groupby(words, key=lambda word: word.line[:2]):
        lines = [_line(list(line), usual) for _, line in groupby(paragraph, key=lambda word: word.line)]
        blocks.append(tuple(lines))
    return blocks


def _height(word: _Word) -> float:
    return min(word.box[3] - word.box[1], word.box[2] - word.box[0])  # whichever way the line runs


def _line(words: Sequence[_Word], usual: float) -> Line:
    x0s, y0s, x1s, y1s = zip(*(word.box for word in words), strict=True)
    # Boxes of lines without tall letters are lower by a third at the same type size: only more than that is larger.
    ratio = median(_height(word) for word in words) / max(usual, 1e-6)
    return Line(
        text=" ".join(word.text for word in words),
        bbox=(min(x0s), min(y0s), max(x1s), max(y1s)),
        size=round(_SIZE * ratio, 1) if ratio > 1.5 else _SIZE,
        bold=False,
    )
