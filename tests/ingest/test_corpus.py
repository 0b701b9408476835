from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.bombs import attached_pdf
from support.pdfs import Text, encrypted_pdf, pdf_bytes

from fourfold.errors import DocumentError
from fourfold.ingest.corpus import find_pdfs, iter_corpus, read_corpus
from fourfold.ingest.ocr import Ocr
from fourfold.ingest.passwords import Password
from fourfold.ingest.pdf import doc_id_of
from fourfold.ingest.reader import CHANGED
from fourfold.ingest.reading import ReadOptions
from fourfold.ingest.workers import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
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


@pytest.mark.parametrize("n_workers", [0, 2])
def test_progress_counts_files_pages_and_bytes(tmp_path: Path, n_workers: int) -> None:
    sizes = 0
    for name in ("a.pdf", "b.pdf", "c.pdf"):
        (tmp_path / name).write_bytes(pdf_bytes([[Text(72, 100, name)]] * 2))
        sizes += (tmp_path / name).stat().st_size
    told: list[Progress] = []
    read_corpus(tmp_path, n_workers=n_workers, on_progress=told.append)
    assert told[-1] == Progress(n_done=3, n_files=3, n_pages=6, n_bytes_done=sizes, n_bytes=sizes)
    assert len(told) == 6 + 3
    assert [p.n_pages for p in told] == sorted(p.n_pages for p in told)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.unlink(), "cannot be opened: No such file or directory"),
        (lambda path: path.write_bytes(pdf("Other text.")), CHANGED),
        (lambda path: path.write_bytes(b""), CHANGED),
    ],
    ids=["disappears", "changes", "is emptied"],
)
def test_a_file_that_is_no_longer_what_was_listed_is_unread_under_its_listed_id(
    tmp_path: Path, change: Callable[[Path], object], reason: str
) -> None:
    for name in ("a.pdf", "b.pdf"):
        (tmp_path / name).write_bytes(pdf(name))
    listed = doc_id_of((tmp_path / "b.pdf").read_bytes())
    corpus = read_corpus(
        tmp_path, n_workers=0, on_progress=lambda p: change(tmp_path / "b.pdf") if p.n_done == p.n_pages == 1 else None
    )
    assert [(d.status, d.reason) for d in corpus.documents] == [("read", None), ("unread", reason)]
    assert corpus.documents[1].doc_id == listed


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


def test_a_copy_of_a_file_that_cannot_be_read_is_not_read_either(tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        (tmp_path / name).write_bytes(b"no pdf")
    (tmp_path / "c.pdf").write_bytes(pdf("Text."))
    assert [d.reason for d in read_corpus(tmp_path).documents][1:] == ["identical to a.pdf", None]


def test_documents_come_one_after_the_other_in_the_order_of_their_names(tmp_path: Path) -> None:
    for at, name in enumerate(("c.pdf", "a.pdf", "b.pdf")):
        (tmp_path / name).write_bytes(pdf_bytes([[Text(72, 100, name)]] * (20 - 9 * at)))
    assert [d.name for d, _ in iter_corpus(tmp_path, n_workers=2)] == ["a.pdf", "b.pdf", "c.pdf"]


def test_odd_names_are_kept_and_lead_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    (folder / "..data").mkdir(parents=True)
    names = ["..data/x.pdf", "..pdf", ".pdf", "a  b;$(touch x).pdf", "ä ö 文.pdf", "a..pdf", "line\nbreak.pdf"]
    for name in names:
        (folder / name).write_bytes(pdf(name.replace("\n", " ")))
    (tmp_path / "outside.pdf").write_bytes(pdf("outside"))
    corpus = read_corpus(folder)
    assert sorted(names) == [d.name for d in corpus.documents]
    assert {d.status for d in corpus.documents} == {"read"}


def test_a_link_out_of_the_folder_is_read_and_noted(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (tmp_path / "outside.pdf").write_bytes(pdf("Outside."))
    (folder / "in.pdf").write_bytes(pdf("Inside."))
    (folder / "link.pdf").symlink_to(tmp_path / "outside.pdf")
    (folder / "within.pdf").symlink_to(folder / "in.pdf")
    (folder / "loop.pdf").symlink_to(folder / "loop.pdf")
    (folder / "device.pdf").symlink_to("/dev/zero")
    (folder / "below").symlink_to(tmp_path)
    by_name = {d.name: d for d in read_corpus(folder).documents}
    assert sorted(by_name) == ["device.pdf", "in.pdf", "link.pdf", "loop.pdf", "within.pdf"]
    assert by_name["link.pdf"].notes == ("read through a link that leads out of the folder",)
    assert by_name["in.pdf"].notes == ()
    assert by_name["within.pdf"].reason == "identical to in.pdf"
    assert by_name["device.pdf"].reason == "not a file but a pipe, device or link"
    assert (by_name["loop.pdf"].reason or "").startswith("cannot be opened: ")


def test_a_pipe_is_recorded_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Text."))
    os.mkfifo(tmp_path / "b.pdf")
    assert read_corpus(tmp_path).documents[1].reason == "not a file but a pipe, device or link"


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Text."))
    (tmp_path / "closed").mkdir()
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DocumentError, match="cannot be listed"):
        find_pdfs(tmp_path)


def test_ten_thousand_files_of_which_half_are_no_pdfs_take_seconds(tmp_path: Path) -> None:
    data = pdf("Text number 0000.")
    for number in range(5000):
        (tmp_path / f"{number}.txt").write_bytes(b"x")
        # One in fifty is a PDF of its own; the others are text files or copies of the first under its name.
        whole = number % 50 == 0
        body = data + b"%% %d" % number if whole else (b"no pdf %d" % number if number % 2 else data)
        (tmp_path / f"{number:04}.pdf").write_bytes(body)
    started = time.monotonic()
    corpus = read_corpus(tmp_path)
    assert time.monotonic() - started < 60
    assert len(corpus.documents) == 5000
    reasons = Counter((d.reason or "read")[:9] for d in corpus.documents)
    assert reasons == {"read": 101, "identical": 2399, "not a PDF": 2500}


def test_nothing_is_written_beside_the_documents_or_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "corpus" / "a.pdf").write_bytes(attached_pdf())
    monkeypatch.chdir(tmp_path / "here")
    read_corpus(tmp_path / "corpus")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.pdf", "corpus", "here"]


def test_a_password_for_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Text."))
    options = ReadOptions(passwords={"A.pdf": Password(variable="KEY", value="hush")})
    with pytest.raises(DocumentError, match=r"A\.pdf") as error:
        read_corpus(tmp_path, options=options)
    assert "hush" not in str(error.value)


def test_ocr_of_every_page_without_tesseract_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Text."))
    with pytest.raises(DocumentError, match="tesseract-ocr"):
        read_corpus(tmp_path, options=ReadOptions(ocr=Ocr(mode="force")))
