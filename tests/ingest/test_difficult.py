"""What a user will throw at it: every file of pdf/difficult ends as fixtures/difficult.json says, within a minute."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from fourfold.ingest.corpus import Corpus, iter_corpus, read_corpus
from fourfold.ingest.ocr import Ocr, find_tesseract
from fourfold.ingest.passwords import Password
from fourfold.ingest.reading import ReadOptions
from fourfold.types import Document

EXPECTED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "fixtures" / "difficult.json").read_text())
PASSWORDS = {
    "libreoffice-writer-password.pdf": Password(variable="WRITER", value="openpassword"),
    "password-example.pdf": Password(variable="EXAMPLE", value="test"),
}
LIMIT_S = 60


def off_the_table(document: Document, mode: str) -> list[str]:
    """In what a document differs from its row."""
    row = EXPECTED[document.name]
    wanted = row[mode]
    faults = []
    if (document.status, document.n_pages) != (wanted["status"], row["pages"]):
        faults.append(f"{document.status} with {document.n_pages} pages: {document.reason}")
    if wanted.get("reason", "") not in (document.reason or ""):
        faults.append(f"reason {document.reason}")
    if document.n_chars < wanted.get("characters", 0):
        faults.append(f"{document.n_chars} characters")
    if len(document.ocr) < wanted.get("ocr_pages", 0):
        faults.append(f"{len(document.ocr)} pages by OCR")
    if row.get("note", "") not in "; ".join(document.notes):
        faults.append(f"notes {document.notes}")
    return [f"{document.name}: {fault}" for fault in faults]


@pytest.fixture(scope="module")
def folder(test_data: Path) -> Path:
    return test_data / "pdf" / "difficult"


@pytest.fixture(scope="module")
def without_ocr(folder: Path) -> Corpus:
    return read_corpus(folder, options=ReadOptions(passwords=PASSWORDS))


def test_the_table_has_a_row_for_every_file_and_for_no_other(folder: Path) -> None:
    assert sorted(EXPECTED) == sorted(path.name for path in folder.glob("*.pdf"))


def test_every_file_ends_as_its_row_says(without_ocr: Corpus) -> None:
    faults = [fault for document in without_ocr.documents for fault in off_the_table(document, "without_ocr")]
    assert len(without_ocr.documents) == len(EXPECTED)
    assert not faults


def test_the_table_can_be_missed(without_ocr: Corpus) -> None:
    faults = [fault for document in without_ocr.documents for fault in off_the_table(document, "with_ocr")]
    differing = {name for name, row in EXPECTED.items() if row["with_ocr"] != row["without_ocr"]}
    assert {fault.partition(":")[0] for fault in faults} == differing


def test_no_file_takes_a_minute(folder: Path) -> None:
    last, slow = time.monotonic(), []
    for document, _ in iter_corpus(folder, options=ReadOptions(passwords=PASSWORDS), n_workers=1):
        now = time.monotonic()
        if now - last > LIMIT_S:
            slow.append(document.name)
        last = now
    assert not slow


def test_every_file_ends_as_its_row_says_with_ocr(folder: Path) -> None:
    tesseract = find_tesseract()
    if tesseract is None or "eng" not in tesseract.languages:
        pytest.skip("Tesseract with English data is not installed (package tesseract-ocr)")
    options = ReadOptions(passwords=PASSWORDS, ocr=Ocr(mode="auto", tesseract=tesseract), seconds_per_page=LIMIT_S)
    corpus = read_corpus(folder, options=options)
    assert not [fault for document in corpus.documents for fault in off_the_table(document, "with_ocr")]


def test_without_passwords_the_encrypted_files_say_so(folder: Path, tmp_path: Path) -> None:
    for name in PASSWORDS:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "minimal-document.pdf").write_bytes((folder / "minimal-document.pdf").read_bytes())
    reasons = {document.name: document.reason or "" for document in read_corpus(tmp_path).documents}
    assert all(reasons[name].startswith("encrypted: it asks for a password") for name in PASSWORDS)
