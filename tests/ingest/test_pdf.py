from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pymupdf
import pytest
from support.pdfs import NO_PAGES, PROSE, QUICKSTART, Text, column, drawing_pdf, encrypted_pdf, pdf_bytes, picture_pdf

from fourfold.ingest import contents as contents_module
from fourfold.ingest.furniture import strip_furniture
from fourfold.ingest.pages import read_page
from fourfold.ingest.pdf import parse_pdf, read_pdf
from fourfold.ingest.sections import without_number
from fourfold.types import BLOCK_SEPARATOR, Block, Document

Read = dict[Path, tuple[Document, tuple[Block, ...]]]


def cut_short() -> bytes:
    """The first third of a file that keeps its page tree at its end."""
    data = (QUICKSTART / "debian-policy-system.pdf").read_bytes()
    return data[: len(data) // 3]


HEALTHY = pdf_bytes([[Text(72, 60, "Aims", 16), *column(72, 100, PROSE)]] * 20)


def assert_whole(document: Document, blocks: tuple[Block, ...]) -> None:
    """The promises that hold for every file."""
    if document.status == "unread":
        assert document.reason
        assert blocks == ()
        assert document.n_chars == 0
        return
    text = BLOCK_SEPARATOR.join(block.text for block in blocks)
    assert document.reason is None
    assert document.n_chars == len(text)
    assert [block.position for block in blocks] == list(range(len(blocks)))
    for block in blocks:
        assert text[block.start : block.end] == block.text
        assert block.text.strip() == block.text
        assert block.text
        assert unicodedata.is_normalized("NFC", block.text)
        assert block.doc_id == document.doc_id
        assert 1 <= block.page <= document.n_pages
        assert block.text.encode()


def test_a_file_is_read_with_its_title_headings_and_offsets(tmp_path: Path) -> None:
    pages = [
        [Text(72, 60, "1 Aims", 16), *column(72, 100, PROSE)],
        [Text(72, 60, "2 Means", 16), *column(72, 100, PROSE)],
    ]
    data = pdf_bytes(pages, toc=[(1, "Aims", 1), (1, "Means", 2)], title="  On \n Barley ")
    path = tmp_path / "a ü.pdf"
    path.write_bytes(data)
    document, blocks = read_pdf(path)
    assert_whole(document, blocks)
    assert (document.doc_id, document.name) == (hashlib.sha256(data).hexdigest()[:16], "a ü.pdf")
    assert (document.title, document.n_pages, document.unread_pages) == ("On Barley", 2, ())
    assert [(block.kind, block.section, block.page) for block in blocks] == [
        ("heading", ("Aims",), 1),
        ("text", ("Aims",), 1),
        ("heading", ("Means",), 2),
        ("text", ("Means",), 2),
    ]
    assert blocks[1].text == " ".join(PROSE)
    assert blocks[0].bbox[1] < blocks[1].bbox[1]


def test_the_name_stands_in_for_a_missing_title() -> None:
    assert parse_pdf(HEALTHY, name="sub/Barley.PDF")[0].title == "Barley"


def test_running_headers_and_page_numbers_are_left_out() -> None:
    pages = [[Text(72, 40, "A Book"), *column(72, 200, PROSE), Text(290, 810, str(n))] for n in (1, 2, 3)]
    _, blocks = parse_pdf(pdf_bytes(pages), name="a.pdf")
    assert [block.text for block in blocks] == [" ".join(PROSE)] * 3


def test_hyphens_of_line_breaks_go_if_the_document_has_the_word() -> None:
    pages = [column(72, 100, ["some informa-", "tion on non-", "free and more information"])]
    _, blocks = parse_pdf(pdf_bytes(pages), name="a.pdf")
    assert blocks[0].text == "some information on non-free and more information"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"^empty file"),
        (b"Dear all, this is a letter.", r"^not a PDF: it starts with b'Dear all"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), r"^not a PDF"),
        (b"%PDF-1.3\nThis is not a valid PDF file\n%%EOF\n", r"^broken beyond repair"),
        (cut_short(), r"^broken beyond repair: no pages are left"),
        (encrypted_pdf(user_password="secret"), r"^encrypted: it asks for a password"),
        (NO_PAGES, r"^no pages$"),
        (picture_pdf(), r"^image only: no text layer; OCR it first$"),
        (pdf_bytes([[], []]), r"^blank: no text and no images on any page$"),
        (drawing_pdf(), r"^no text: only drawings"),
        (pdf_bytes([[Text(290, 810, str(n))] for n in (1, 2, 3)]), r"^no text but running headers"),
    ],
    ids=[
        *("empty", "text file", "picture file", "invalid", "cut short", "encrypted", "no pages", "scan", "blank"),
        *("drawing", "only page numbers"),
    ],
)
def test_an_unusable_file_is_unread_with_its_reason(
    data: bytes, reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    document, blocks = read_pdf(path)
    assert document.status == "unread"
    assert re.search(reason, document.reason or "")
    assert_whole(document, blocks)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_unread(tmp_path: Path) -> None:
    document, blocks = read_pdf(tmp_path / "gone.pdf")
    assert (document.status, document.reason) == ("unread", "cannot be opened: No such file or directory")
    assert blocks == ()


def test_an_empty_user_password_opens_the_file() -> None:
    document, blocks = parse_pdf(encrypted_pdf(user_password=""), name="a.pdf")
    assert document.status == "read"
    assert blocks[0].text == "Under lock and key."


def test_pages_that_are_pictures_are_listed_in_a_file_with_text() -> None:
    data = picture_pdf(texts=[[], [Text(72, 100, "Text beside the picture.")], []])
    document, _ = parse_pdf(data, name="a.pdf")
    assert (document.status, document.unread_pages) == ("read", (1, 3))


def test_a_page_that_fails_is_listed_and_the_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(page: object, *, number: int) -> object:
        if number == 2:
            raise RuntimeError("damaged content stream")
        return read_page(page, number=number)

    monkeypatch.setattr(contents_module, "read_page", failing)
    document, blocks = parse_pdf(pdf_bytes([[Text(72, 100, f"Page {x}")] for x in "abc"]), name="a.pdf")
    assert (document.status, document.unread_pages, len(blocks)) == ("read", (2,), 2)


def test_mupdf_messages_are_shown_again_afterwards() -> None:
    before = pymupdf.TOOLS.mupdf_display_errors()
    parse_pdf(b"%PDF-1.3\nbroken", name="a.pdf")
    assert pymupdf.TOOLS.mupdf_display_errors() == before


def test_the_same_bytes_give_the_same_blocks() -> None:
    assert parse_pdf(HEALTHY, name="a.pdf") == parse_pdf(HEALTHY, name="a.pdf")


def test_quickstart_files_are_read_with_exact_offsets(quickstart: Read) -> None:
    assert len(quickstart) == 3
    for document, blocks in quickstart.values():
        assert document.status == "read"
        assert document.unread_pages == ()
        assert_whole(document, blocks)


def characters(text: str) -> Counter[str]:
    """Visible characters, without the hyphens that join lines and the dots that lead to page numbers."""
    return Counter("".join(re.sub(r"(?:\s?\.){6,}", "", text).translate({ord(x): None for x in "-\u00ad…"}).split()))


def test_quickstart_pages_keep_their_text(quickstart: Read) -> None:
    for path, (_, blocks) in quickstart.items():
        with pymupdf.open(path) as pdf:
            pages = [read_page(page, number=number) for number, page in enumerate(pdf, start=1)]
            raw = [unicodedata.normalize("NFC", page.get_text(flags=0)) for page in pdf]
        stripped, n_furniture = strip_furniture(pages)
        assert 0 < n_furniture < 0.03 * sum(len("".join(text.split())) for text in raw)
        for before, after, text in zip(pages, stripped, raw, strict=True):
            # A paragraph that goes on over the page stands in one block.
            own = (b for b in blocks if b.page <= before.number <= (b.page_last or b.page))
            kept = characters(" ".join(block.text for block in own))
            gone = characters(" ".join(line.text for block in before.blocks for line in block))
            gone.subtract(characters(" ".join(line.text for block in after.blocks for line in block)))
            wanted = characters(text)
            missing = wanted - (kept + gone)
            assert missing.total() <= 0.02 * wanted.total(), (path.name, before.number, missing)
            assert gone.total() <= 120, "a header and a footer are not longer"


def test_quickstart_headings_are_those_of_the_outline(quickstart: Read) -> None:
    for path, (_, blocks) in quickstart.items():
        with pymupdf.open(path) as pdf:
            outline = [(without_number(title), page) for _, title, page in pdf.get_toc()]
        headings = {(block.section[-1], block.page) for block in blocks if block.kind == "heading"}
        n_found = sum(entry in headings for entry in outline)
        assert n_found >= 0.95 * len(outline), path.name
        assert len([block for block in blocks if block.kind == "heading"]) <= len(outline)


def test_quickstart_has_no_running_headers_left(quickstart: Read) -> None:
    for _, blocks in quickstart.values():
        for block in blocks:
            if block.page > 1:
                assert not re.search(r"Release (?:4\.6\.2\.0|12\.18)$", block.text), block
                assert not re.fullmatch(r"\d+|[ivx]+", block.text), block


@pytest.mark.parametrize(
    ("name", "section", "start"),
    [
        (
            "debian-policy-packages.pdf",
            ("The Debian Archive", "Archive areas", "The main archive area"),
            "The main archive area comprises the Debian distribution. Only the packages in this area are",
        ),
        (
            "debian-policy-system.pdf",
            ("The Operating System", "File system hierarchy", "The system-wide mail directory"),
            "The system-wide mail directory is /var/mail. This directory is part of the base system and",
        ),
        (
            "developers-reference.pdf",
            ("Resources for Debian Members", "Mailing lists", "Basic rules for use"),
            "When replying to messages on the mailing list, please do not send a carbon copy (CC) to the",
        ),
    ],
)
def test_quickstart_paragraphs_stand_under_their_path(
    quickstart: Read, name: str, section: tuple[str, ...], start: str
) -> None:
    (blocks,) = [blocks for path, (_, blocks) in quickstart.items() if path.name == name]
    (found,) = [block for block in blocks if block.text.startswith(start)]
    assert found.section == section


def test_quickstart_chapter_openings_are_one_heading(quickstart: Read) -> None:
    texts = [block.text for _, blocks in quickstart.values() for block in blocks if block.kind == "heading"]
    assert "CHAPTER TWO THE DEBIAN ARCHIVE" in texts
    assert "CHAPTER FOUR RESOURCES FOR DEBIAN MEMBERS" in texts


def test_quickstart_paths_are_whole_again_after_line_breaks(quickstart: Read) -> None:
    text = " ".join(block.text for _, blocks in quickstart.values() for block in blocks)
    assert not re.search(r"/usr/(?:share/)?(?:doc/)? (?:share|doc/|PACKAGE|bin|local|common-licenses)\b", text)
    assert "/usr/share/doc/PACKAGE/copyright" in text


@pytest.mark.parametrize("folder", ["difficult", "agriculture"])
def test_real_files_end_as_read_or_as_unread_with_a_reason(
    test_data: Path, folder: str, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = sorted((test_data / "pdf" / folder).glob("*.pdf"))
    assert paths
    for path in paths:
        assert_whole(*read_pdf(path))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("libreoffice-writer-password.pdf", "encrypted"),
        ("password-example.pdf", "encrypted"),
        ("invalid.pdf", "broken beyond repair"),
        ("unreadablemetadata.pdf", "broken beyond repair"),
        ("blank.pdf", "blank"),
        ("scan-2dsoil-contents.pdf", "image only"),
        ("ccitt.pdf", "image only"),
        ("cardinal.pdf", "image only"),
        ("linn.pdf", "image only"),
        ("skew.pdf", "image only"),
    ],
)
def test_real_unusable_files_have_their_reason(test_data: Path, name: str, reason: str) -> None:
    document, _ = read_pdf(test_data / "pdf" / "difficult" / name)
    assert (document.reason or "").startswith(reason)


def test_a_real_two_column_page_is_read_in_column_order(test_data: Path) -> None:
    _, blocks = read_pdf(test_data / "pdf" / "difficult" / "multicolumn.pdf")
    text = " ".join(block.text for block in blocks)
    starts = ["Two-Column Document", "Abstract", "Lorem ipsum", "Nulla malesuada", "pellentesque ante", "Fusce mauris"]
    starts += ["lacus vel est", "Morbi luctus", "luctus et ultrices", "Suspendisse vitae elit"]
    places = [text.index(start) for start in starts]
    assert places == sorted(places)


def test_a_real_three_column_page_is_read_in_column_order(test_data: Path) -> None:
    _, blocks = read_pdf(test_data / "pdf" / "difficult" / "federal-register-2020-17221.pdf")
    text = " ".join(block.text for block in blocks if block.page == 1)
    starts = ["SUMMARY: The FAA", "ADDRESSES: You may", "Examining the AD Docket", "Comments Invited", "Background"]
    places = [text.index(start) for start in starts]
    assert places == sorted(places)
    assert "Federal Register / Vol." not in " ".join(block.text for block in blocks if block.page > 1)


def test_a_real_wrong_outline_is_not_used(test_data: Path) -> None:
    _, blocks = read_pdf(test_data / "pdf" / "difficult" / "mistitled_outlines_example.pdf")
    names = [block.section[-1] for block in blocks if block.kind == "heading" and block.page > 1]
    assert names == ["Foo", "Bar", "Baz", "Foo", "Bar", "Baz", "Foo", "Bar", "Baz"]


def test_real_pages_without_text_are_listed(test_data: Path) -> None:
    document, _ = read_pdf(test_data / "pdf" / "difficult" / "multipage.pdf")
    assert (document.status, document.unread_pages) == ("read", (1, 2, 3, 5, 6))
