from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.pdfs import QUICKSTART

from fourfold.ingest.pdf import read_pdf

if TYPE_CHECKING:
    from fourfold.types import Block, Document


@pytest.fixture(scope="session")
def quickstart() -> dict[Path, tuple[Document, tuple[Block, ...]]]:
    """The quickstart's PDFs, each read once."""
    return {path: read_pdf(path) for path in sorted(QUICKSTART.glob("*.pdf"))}
