from __future__ import annotations

import pytest
from support.pdfs import PROSE, column, pdf_bytes

from fourfold.ingest.kept import ENOUGH, Kept, compare
from fourfold.ingest.pdf import parse_pdf


@pytest.mark.parametrize(
    ("raw", "ours", "kept"),
    [
        ("abc", "abc", Kept(n_raw=3, n_kept=3)),
        ("abc", "cab abc", Kept(n_raw=3, n_kept=3)),
        ("aab", "ab", Kept(n_raw=3, n_kept=2)),
        ("abc", "", Kept(n_raw=3, n_kept=0)),
        ("infor-\nmation", "information", Kept(n_raw=11, n_kept=11)),
        ("ﬁeld", "field", Kept(n_raw=5, n_kept=5)),
        ("Voting . . . . . . . 11", "Voting … 11", Kept(n_raw=8, n_kept=8)),
        ("a\x00\u200b\u00ad", "a", Kept(n_raw=1, n_kept=1)),
        ("", "a", Kept(n_raw=0, n_kept=0)),
    ],
)
def test_each_character_counts_as_often_as_it_is_there(raw: str, ours: str, kept: Kept) -> None:
    assert compare([raw], [ours]) == kept


def test_a_page_without_text_has_no_share() -> None:
    assert Kept().share is None
    assert Kept(n_raw=4, n_kept=3).share == 0.75 < ENOUGH


def test_a_document_records_the_share_of_each_page_with_text() -> None:
    document, _ = parse_pdf(pdf_bytes([column(72, 100, PROSE), [], column(72, 100, PROSE)]), name="a.pdf")
    assert document.kept == ((1, 1.0), (3, 1.0))
