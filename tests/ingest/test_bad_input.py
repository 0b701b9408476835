"""Files that mean harm: each ends with a clear record, and the file beside it is read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from support.bombs import (
    attached_pdf,
    deep_tree_pdf,
    exploding_pdf,
    looping_tree_pdf,
    many_pages_pdf,
    nested_content_pdf,
    nested_pdf,
    picture_bomb_pdf,
    script_pdf,
)
from support.pdfs import PROSE, Text, column, pdf_bytes, picture_pdf

from fourfold.ingest import contents
from fourfold.ingest.corpus import read_corpus
from fourfold.ingest.lines import clean
from fourfold.ingest.ocr import Ocr, Tesseract
from fourfold.ingest.pdf import parse_pdf
from fourfold.ingest.reading import ReadOptions

if TYPE_CHECKING:
    from pathlib import Path

    from fourfold.types import Document

HEALTHY = pdf_bytes([column(72, 100, PROSE)])


def beside(folder: Path, bomb: bytes, options: ReadOptions | None = None) -> Document:
    """The record of a file that lies beside a healthy one, which must be read."""
    (folder / "a-bomb.pdf").write_bytes(bomb)
    (folder / "healthy.pdf").write_bytes(HEALTHY)
    corpus = read_corpus(folder, options=options or ReadOptions(seconds_per_page=20))
    bad, healthy = corpus.documents
    assert (healthy.status, healthy.n_pages) == ("read", 1)
    assert corpus.blocks[-1].text == " ".join(PROSE)
    return bad


@pytest.mark.parametrize(
    ("bomb", "reason"),
    [
        (many_pages_pdf(1_000_000_000), "broken beyond repair: MuPDF says 'code=7: Invalid number of pages'"),
        (nested_pdf(1_000_000), "no pages"),
        (nested_content_pdf(1_000_000), "broken beyond repair: no page could be read"),
        (looping_tree_pdf(), "broken beyond repair"),
    ],
    ids=["a billion pages", "nested objects", "nested content", "a page tree that holds itself"],
)
def test_a_bomb_is_unread_with_its_reason_and_at_once(tmp_path: Path, bomb: bytes, reason: str) -> None:
    started = time.monotonic()
    document = beside(tmp_path, bomb)
    assert document.status == "unread"
    assert reason in (document.reason or "")
    assert time.monotonic() - started < 20


def test_a_page_below_many_levels_is_read() -> None:
    document, blocks = parse_pdf(deep_tree_pdf(5000), name="a.pdf")
    assert (document.status, blocks[0].text) == ("read", "Hello page.")


def test_pages_that_are_declared_and_not_there_are_listed_as_unread(tmp_path: Path) -> None:
    document = beside(tmp_path, many_pages_pdf(3000, n_objects=4000))
    assert document.reason in {None, "broken beyond repair: no page could be read"}
    assert document.n_pages <= 3000
    assert len(document.unread_pages) >= document.n_pages - 1


def test_a_file_of_more_pages_than_are_read_is_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MAX_PAGES", 2)
    document, _ = parse_pdf(pdf_bytes([column(72, 100, PROSE)] * 3), name="a.pdf")
    assert document.reason == "it declares 3 pages, over 2; split it"


def test_a_file_of_more_bytes_than_are_read_is_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MAX_FILE_BYTES", 100)
    assert (parse_pdf(HEALTHY, name="a.pdf")[0].reason or "").endswith("GB; split it")


def test_a_page_that_never_ends_costs_its_file_alone_and_no_more_than_its_time(tmp_path: Path) -> None:
    started = time.monotonic()
    document = beside(tmp_path, exploding_pdf(9), ReadOptions(seconds_per_page=3))
    assert document.reason == "gave no sign for 3 s (corpus.seconds_per_page)"
    assert time.monotonic() - started < 30


def test_a_huge_picture_is_neither_decoded_nor_given_to_ocr(tmp_path: Path) -> None:
    installed = Tesseract(version="5", languages=("eng",))
    options = ReadOptions(ocr=Ocr(mode="auto", tesseract=installed), seconds_per_page=20)
    document = beside(tmp_path, picture_bomb_pdf(20_000), options)
    assert (document.status, document.n_pages, document.unread_pages) == ("unread", 1, (1,))
    assert document.notes == ("page 1: a picture of 1,200 MB is too large to be read by OCR",)
    assert (document.reason or "").startswith("image only")


def test_scripts_and_attachments_are_noted_and_left_alone(tmp_path: Path) -> None:
    assert beside(tmp_path, script_pdf()).notes == ("JavaScript ignored",)
    document = beside(tmp_path, attached_pdf())
    assert (document.status, document.notes) == ("read", ("1 attachment(s) ignored",))
    assert not list(tmp_path.parent.rglob("escaped.txt"))


def test_a_file_with_neither_has_no_notes() -> None:
    assert parse_pdf(HEALTHY, name="a.pdf")[0].notes == ()


def test_a_repaired_file_is_read_and_says_so() -> None:
    whole = pdf_bytes([column(72, 100, PROSE)])
    damaged = whole[: whole.rindex(b"xref") - 8]
    document, blocks = parse_pdf(damaged, name="a.pdf")
    assert (document.status, document.notes) == ("read", ("damaged, repaired by MuPDF",))
    assert blocks[0].text == " ".join(PROSE)


def test_text_is_nfc_without_ligatures_and_controls_but_keeps_its_meaning() -> None:
    # NFC and not NFKC: compatibility forms carry meaning, and 10² is not 102.
    given = "10\u00b2 of a cafe\u0301\x00, \ufb01ne\u200b \ud800and \u00bd \ufb04"
    assert clean(given) == "10² of a café, fine and ½ ffl"
    _, blocks = parse_pdf(pdf_bytes([[Text(72, 100, "10² of ½ a café")]]), name="a.pdf")
    assert blocks[0].text == "10² of ½ a café"


def test_without_ocr_a_scan_says_what_to_install() -> None:
    options = ReadOptions(ocr=Ocr(mode="auto", language="eng"))
    document, _ = parse_pdf(picture_pdf(), name="a.pdf", options=options)
    assert document.reason == "image only: no text layer; install the program Tesseract (package tesseract-ocr)"
    assert document.unread_pages == (1,)
