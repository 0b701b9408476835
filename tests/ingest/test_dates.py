from __future__ import annotations

from datetime import date
from pathlib import Path

import pymupdf
import pytest
from support.pdfs import Text, encrypted_pdf, pdf_bytes

from fourfold.ingest.corpus import read_corpus
from fourfold.ingest.dates import parse_date, read_dates
from fourfold.ingest.passwords import Password
from fourfold.ingest.reading import ReadOptions


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("D:20170224093000-05'00'", date(2017, 2, 24)),
        ("D:2017", date(2017, 1, 1)),
        ("D:201706", date(2017, 6, 1)),
        ("D:20171399", None),
        ("24 February 2017", None),
        ("", None),
        (None, None),
    ],
)
def test_a_pdfs_date_is_read_as_a_day(text: str | None, day: date | None) -> None:
    assert parse_date(text) == day


def test_the_last_change_goes_before_the_creation_and_a_locked_file_opens_with_its_password(tmp_path: Path) -> None:
    files = {
        "changed.pdf": {"modDate": "D:20200102", "creationDate": "D:20190101"},
        "created.pdf": {"creationDate": "D:20190101"},
        "bare.pdf": {},
    }
    for name, metadata in files.items():
        with pymupdf.open(stream=pdf_bytes([[Text(72, 100, f"Text of {name}.")]])) as pdf:
            pdf.set_metadata(metadata)
            pdf.save(tmp_path / name)
    (tmp_path / "locked.pdf").write_bytes(encrypted_pdf(user_password="secret"))
    (tmp_path / "broken.pdf").write_text("no PDF")
    passwords = {"locked.pdf": Password(variable="LOCKED", value="secret")}
    corpus = read_corpus(tmp_path, options=ReadOptions(passwords=passwords), n_workers=0)
    names = {document.doc_id: document.name for document in corpus.documents}
    found = {names[doc_id]: day for doc_id, day in read_dates(tmp_path, corpus.documents, passwords).items()}
    assert found == {
        "changed.pdf": date(2020, 1, 2), "created.pdf": date(2019, 1, 1), "bare.pdf": None, "locked.pdf": None
    }  # fmt: skip
