from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.pdfs import Text, encrypted_pdf, pdf_bytes

from fourfold.ingest.corpus import read_corpus
from fourfold.ingest.passwords import Password, lock_states, take_passwords
from fourfold.ingest.reading import ReadOptions

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "correct horse ü"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "locked ü.pdf").write_bytes(encrypted_pdf(user_password=SECRET))
    (tmp_path / "open.pdf").write_bytes(pdf_bytes([[Text(72, 100, "Open.")]]))
    return tmp_path


def test_the_named_variable_opens_the_file(folder: Path) -> None:
    # The study was typed on a system that writes the ü as two characters.
    passwords = take_passwords({"sub/locked u\u0308.pdf": "KEY"}, {"KEY": SECRET, "OTHER": "x"})
    corpus = read_corpus(folder, options=ReadOptions(passwords=passwords))
    assert [d.status for d in corpus.documents] == ["read", "read"]
    assert corpus.blocks[-1].text == "Under lock and key."
    assert SECRET not in repr(corpus) + repr(passwords)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "encrypted: the environment variable KEY is not set"),
        ({"KEY": "hush-hush"}, "encrypted: the value of the environment variable KEY does not open it"),
        ({"KEY": ""}, "encrypted: the value of the environment variable KEY does not open it"),
    ],
    ids=["unset", "wrong", "empty"],
)
def test_a_missing_or_wrong_password_is_a_reason_that_names_the_variable(
    folder: Path, environment: dict[str, str], reason: str
) -> None:
    passwords = take_passwords({"sub/locked ü.pdf": "KEY"}, environment)
    corpus = read_corpus(folder, options=ReadOptions(passwords=passwords))
    assert [(d.status, d.reason) for d in corpus.documents] == [("read", None), ("unread", reason)]
    assert "hush-hush" not in repr(corpus)


def test_a_password_that_is_not_needed_is_noted(folder: Path) -> None:
    passwords = {"open.pdf": Password(variable="KEY", value=SECRET)}
    document = read_corpus(folder, options=ReadOptions(passwords=passwords)).documents[0]
    assert (document.status, document.notes) == ("read", ("not encrypted: its password is not needed",))


def test_the_state_of_a_lock_changes_with_what_the_password_does_and_not_with_its_value(folder: Path) -> None:
    def state(environment: dict[str, str]) -> str:
        return lock_states(folder, take_passwords({"sub/locked ü.pdf": "KEY"}, environment))["sub/locked ü.pdf"]

    assert state({"KEY": SECRET}) == "open"
    assert state({"KEY": "a"}) == state({"KEY": "b"}) != state({})
    assert SECRET not in state({"KEY": SECRET})


def test_the_state_of_a_file_that_is_broken_or_gone_is_one_too(folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.3\nbroken")
    names = {"broken.pdf": "KEY", "gone.pdf": "KEY"}
    assert lock_states(folder, take_passwords(names, {"KEY": "a"})) == {"broken.pdf": "broken", "gone.pdf": "broken"}
