from __future__ import annotations

import pymupdf
import pytest
from support.pdfs import PROSE, Text, column, pdf_bytes

from fourfold.ingest import contents, ocr
from fourfold.ingest.ocr import Ocr, OcrError, Recognised, Tesseract, find_tesseract, recognise
from fourfold.ingest.pages import PageText, read_page
from fourfold.ingest.pdf import parse_pdf
from fourfold.ingest.reading import ReadOptions

ENGLISH = Tesseract(version="5.3.0", languages=("eng", "osd"))


def scan(*, rotation: int = 0, beside: bool = False) -> bytes:
    """A page of prose as a picture, and a page of text beside it where asked."""
    with pymupdf.open("pdf", pdf_bytes([[Text(72, 60, "On Barley", 24), *column(72, 100, PROSE, size=12)]])) as source:
        pixels = source[0].get_pixmap(dpi=200, colorspace=pymupdf.csGRAY)
    with pymupdf.open() as pdf:
        page = pdf.new_page(width=595, height=842)
        page.insert_image(page.rect, pixmap=pixels)
        page.set_rotation(rotation)
        if beside:
            pdf.new_page().insert_text((72, 100), "Text of its own.")
        data: bytes = pdf.tobytes()
        return data


@pytest.fixture
def installed() -> Tesseract:
    tesseract = find_tesseract()
    if tesseract is None or "eng" not in tesseract.languages:
        pytest.skip("Tesseract with English data is not installed (package tesseract-ocr)")
    return tesseract


@pytest.mark.parametrize("rotation", [0, 90, 180])
def test_a_scan_is_read_with_its_boxes_and_confidence_whichever_way_it_lies(
    installed: Tesseract, rotation: int
) -> None:
    options = ReadOptions(ocr=Ocr(mode="auto", tesseract=installed))
    document, blocks = parse_pdf(scan(rotation=rotation), name="a.pdf", options=options)
    assert (document.status, document.unread_pages) == ("read", ())
    assert " ".join(PROSE) in " ".join(block.text for block in blocks)
    ((page, confidence),) = document.ocr
    assert page == 1
    assert 85 < confidence <= 100
    if rotation == 0:
        body = next(block for block in blocks if "Barley is sown" in block.text)
        assert 60 < body.bbox[0] < 80
        assert 85 < body.bbox[1] < 100
        assert body.bbox[3] < 165


def test_only_pages_without_text_are_read_by_ocr_unless_it_is_forced(installed: Tesseract) -> None:
    data = scan(beside=True)

    def pages(mode: ocr.OcrMode) -> list[int]:
        options = ReadOptions(ocr=Ocr(mode=mode, tesseract=installed))
        return [number for number, _ in parse_pdf(data, name="a.pdf", options=options)[0].ocr]

    assert pages("auto") == [1]
    assert pages("force") == [1, 2]
    assert pages("off") == []


def test_a_language_without_data_is_refused_by_tesseract_with_its_words(installed: Tesseract) -> None:
    assert installed
    with pymupdf.open("pdf", scan()) as pdf, pytest.raises(OcrError, match="Tesseract says"):
        recognise(pdf[0], read_page(pdf[0], number=1), language="xxx", timeout_s=30)


def test_a_page_that_takes_too_long_fails_alone_and_is_noted(installed: Tesseract) -> None:
    options = ReadOptions(ocr=Ocr(mode="auto", tesseract=installed), seconds_per_page=0.01)
    document, blocks = parse_pdf(scan(beside=True), name="a.pdf", options=options)
    assert (document.status, document.unread_pages, document.ocr) == ("read", (1,), ())
    assert document.notes == ("page 1: OCR took over 0 s",)
    assert [block.text for block in blocks] == ["Text of its own."]


@pytest.mark.parametrize(
    ("confidence", "kept"), [(None, False), (ocr.MIN_CONFIDENCE - 0.1, False), (ocr.MIN_CONFIDENCE, True)]
)
def test_words_that_ocr_is_not_sure_of_are_left_out_and_noted(
    monkeypatch: pytest.MonkeyPatch, confidence: float | None, kept: bool
) -> None:
    def recognised(_page: object, text: PageText, **_: object) -> Recognised:
        with pymupdf.open("pdf", pdf_bytes([[Text(72, 100, "Some words.")]])) as pdf:
            return Recognised(read_page(pdf[0], number=text.number), confidence)

    monkeypatch.setattr(contents, "recognise", recognised)
    document, blocks = parse_pdf(scan(), name="a.pdf", options=ReadOptions(ocr=Ocr(mode="auto", tesseract=ENGLISH)))
    assert (document.status == "read") is kept
    assert bool(blocks) is kept
    assert document.ocr == (() if confidence is None else ((1, confidence),))
    if not kept:
        assert document.reason == "image only: no text layer; OCR found none either"
        assert document.unread_pages == (1,)
        assert document.notes == (
            () if confidence is None else ("page 1: OCR is 75 of 100 sure of its words, left out",)
        )


@pytest.mark.parametrize(
    ("made", "missing"),
    [
        (Ocr(mode="off"), None),
        (Ocr(mode="auto"), "the program Tesseract (package tesseract-ocr)"),
        (Ocr(mode="auto", tesseract=ENGLISH), None),
        (
            Ocr(mode="force", language="eng+deu+chi_sim", tesseract=ENGLISH),
            "Tesseract's data for deu, chi_sim (package tesseract-ocr-deu, tesseract-ocr-chi-sim)",
        ),
    ],
)
def test_what_is_missing_is_named_with_its_package(made: Ocr, missing: str | None) -> None:
    assert made.missing == missing


def test_where_tesseract_is_not_on_the_path_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_tesseract() is None


def test_words_of_tesseracts_table_become_lines_of_one_size_but_for_titles() -> None:
    head = "level\tpage\tblock\tpar\tline\tword\tleft\ttop\twidth\theight\tconf\ttext\n"
    rows = [
        "1\t1\t0\t0\t0\t0\t0\t0\t2550\t3300\t-1\t",
        "5\t1\t1\t1\t1\t1\t100\t100\t200\t80\t90\tTitle",
        "5\t1\t2\t1\t1\t1\t100\t300\t50\t40\t80\tsmall",
        "5\t1\t2\t1\t1\t2\t160\t304\t50\t30\t70\tﬁne",
        "5\t1\t2\t1\t1\t3\t220\t304\t50\t30\t95\t ",
        "5\t1\t2\t1\t2\t1\t100\t360\t50\t40\t60\tnext",
    ]
    words = ocr._words(head + "\n".join(rows), 2.0)
    blocks = ocr._blocks(words)
    assert [[line.text for line in block] for block in blocks] == [["Title"], ["small fine", "next"]]
    assert [line.size for block in blocks for line in block] == [20.0, 10.0, 10.0]
    assert blocks[1][0].bbox == (50.0, 150.0, 105.0, 170.0)
    assert [word.confidence for word in words] == [90, 80, 70, 60]
