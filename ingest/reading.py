"""What a reader of PDFs is told, beside the file: passwords, OCR, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fourfold.ingest.ocr import Ocr
from fourfold.ingest.passwords import Password

SECONDS_PER_PAGE = 60.0
# A page takes 10 to 40 ms, one read by OCR 3 to 17 s on a busy machine with two CPUs; what takes a minute hangs.

MAX_FILE_BYTES = 1_000_000_000
MAX_PAGES = 50_000
# A file is held in memory while it is read; the largest collected works stay under both by far.


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How the files of a corpus are read.

    Args:
        ocr: which pages are read by OCR.
        passwords: by the file's path relative to the folder.
        seconds_per_page: a file whose reader comes to no further page for so long is given up. The limit is on a page
            and not on a file, because a file of 5,000 pages may take its time and a hanging one of 2 must not.
    """

    ocr: Ocr = field(default_factory=Ocr)
    passwords: Mapping[str, Password] = field(default_factory=dict)
    seconds_per_page: float = SECONDS_PER_PAGE


DEFAULTS = ReadOptions()
