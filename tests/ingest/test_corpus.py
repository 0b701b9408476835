from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.pdfs import Text, encrypted_pdf, pdf_bytes

from fourfold.errors import DocumentError
from fourfold.ingest.corpus import find_pdfs, read_corpus

if TYPE_CHECKING:
    from pathlib import Path


def pdf(text: str) -> bytes:
    return pdf_bytes([[Text(72, 100, text)]])


def test_files_are_found_in_folders_below_and_sorted_by_name(tmp_path: Path) -> None:
    for name in ("b.pdf", "A.PDF", "sub folder/ä ö.Pdf", "sub/z.pdf", "notes.txt", "pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a folder.pdf").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_pdfs(tmp_path)]
    assert found == ["A.PDF", "b.pdf", "sub folder/ä ö.Pdf", "sub/z.pdf"]


@pytest.mark.parametrize(
    ("name", "what"), [("missing", "is missing"), ("file.pdf", "are not a folder"), ("empty", "no PDF files")]
)
def test_a_folder_that_cannot_serve_is_an_error_in_four_parts(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / "file.pdf").write_bytes(pdf("x"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DocumentError) as error:
        find_pdfs(tmp_path / name)
    assert what in error.value.what
    assert str(tmp_path / name) in str(error.value)
    assert error.value.expected
    assert error.value.hint


def test_every_file_is_recorded_under_its_path(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "ein Büchlein.pdf").write_bytes(pdf("Text of the one."))
    (tmp_path / "locked.pdf").write_bytes(encrypted_pdf(user_password="secret"))
    corpus = read_corpus(tmp_path)
    assert [(d.name, d.status) for d in corpus.documents] == [
        ("locked.pdf", "unread"),
        ("sub/ein Büchlein.pdf", "read"),
    ]
    assert [block.text for block in corpus.blocks] == ["Text of the one."]
    assert corpus.blocks[0].doc_id == corpus.documents[1].doc_id
    assert corpus.documents[1].title == "ein Büchlein"


def test_identical_files_are_read_once(tmp_path: Path) -> None:
    data = pdf("Text.")
    for name in ("b.pdf", "a.pdf", "c.pdf"):
        (tmp_path / name).write_bytes(data)
    corpus = read_corpus(tmp_path)
    assert [(d.status, d.reason) for d in corpus.documents] == [
        ("read", None),
        ("unread", "identical to a.pdf"),
        ("unread", "identical to a.pdf"),
    ]
    assert len(corpus.blocks) == 1


def test_progress_is_told_after_each_file(tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        (tmp_path / name).write_bytes(pdf(name))
    told: list[tuple[int, int, str]] = []
    read_corpus(tmp_path, on_file=lambda done, total, name: told.append((done, total, name)))
    assert told == [(1, 2, "a.pdf"), (2, 2, "b.pdf")]


def test_a_file_that_vanishes_during_the_run_is_recorded(tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        (tmp_path / name).write_bytes(pdf(name))
    corpus = read_corpus(tmp_path, on_file=lambda *_: (tmp_path / "b.pdf").unlink(missing_ok=True))
    assert [d.status for d in corpus.documents] == ["read", "unread"]
    assert corpus.documents[1].reason == "cannot be opened: No such file or directory"


def test_a_link_that_leads_nowhere_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Text."))
    (tmp_path / "b.pdf").symlink_to(tmp_path / "gone.pdf")
    assert [d.status for d in read_corpus(tmp_path).documents] == ["read", "unread"]


def test_unopened_files_have_ids_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Text."))
    for name in ("b.pdf", "c.pdf"):
        (tmp_path / name).symlink_to(tmp_path / "gone")
    assert len({d.doc_id for d in read_corpus(tmp_path).documents}) == 3


def test_no_readable_file_is_an_error_that_lists_the_first_ten(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.pdf").write_bytes(b"plain text %d" % number)
    with pytest.raises(DocumentError) as error:
        read_corpus(tmp_path)
    message = str(error.value)
    assert message.count("not a PDF") == 10
    assert "09.pdf: not a PDF" in message
    assert "and 2 more" in message


def test_a_name_that_is_not_text_is_made_printable(tmp_path: Path) -> None:
    try:
        (tmp_path / "b\udcff.pdf").write_bytes(pdf("Text."))
    except OSError:
        pytest.skip("this file system takes only names that are text")
    assert read_corpus(tmp_path).documents[0].name == "b\ufffd.pdf"
