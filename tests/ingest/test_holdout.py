from __future__ import annotations

from datetime import date

import pytest
from support.manual import manual

from fourfold.errors import QuestionError
from fourfold.ingest.candidates import Candidate
from fourfold.ingest.holdout import Holdout, choose_holdout
from fourfold.study import HoldoutSettings
from fourfold.types import Block, Document

NAMES = ("a", "b", "c", "d", "e")


def corpus() -> tuple[list[Document], list[Block]]:
    documents, blocks = [], []
    for name in NAMES:
        more, texts = manual({"Rules": ["Rule one."], f"Notes of {name}": ["Note one."]}, name=name)
        documents += more
        blocks += texts
    return documents, blocks


def choose(settings: HoldoutSettings | None, seed: int = 0) -> Holdout:
    return choose_holdout(*corpus(), settings, seed=seed)


def candidate(doc_id: str, section: str) -> Candidate:
    return Candidate(doc_id=doc_id, document="", page=1, section=("Manual", section), start=0, end=1, quote="x")


def test_nothing_is_held_out_unless_asked() -> None:
    assert choose(None) == Holdout()
    assert not Holdout().skips(candidate("a", "Rules"))


def test_named_documents_are_held_out_whole() -> None:
    held = choose(HoldoutSettings(documents=("b.pdf", "d.pdf")))
    assert held.doc_ids == {"b", "d"}
    assert held.skips(candidate("b", "Rules"))
    assert not held.skips(candidate("a", "Rules"))


@pytest.mark.parametrize(("share", "n"), [(0.05, 1), (0.4, 2), (0.6, 3)])
def test_a_share_is_drawn_at_least_one(share: float, n: int) -> None:
    held = choose(HoldoutSettings(share=share))
    assert len(held.doc_ids) == n
    assert choose(HoldoutSettings(share=share)) == held
    assert len({choose(HoldoutSettings(share=share), seed).doc_ids for seed in range(20)}) > 1


def test_a_share_is_drawn_beside_those_named() -> None:
    held = choose(HoldoutSettings(documents=("a.pdf",), share=0.2))
    assert "a" in held.doc_ids
    assert len(held.doc_ids) == 2


def test_documents_of_a_day_and_later_are_held_out_and_undated_ones_stay() -> None:
    days = {"a": date(2020, 1, 1), "b": date(2021, 6, 30), "c": date(2021, 7, 1), "d": None}
    held = choose_holdout(*corpus(), HoldoutSettings(since=date(2021, 6, 30)), seed=0, dates=days)
    assert held.doc_ids == {"b", "c"}
    with pytest.raises(QuestionError, match="no document is dated 2022-01-01 or later"):
        choose_holdout(*corpus(), HoldoutSettings(since=date(2022, 1, 1)), seed=0, dates=days)


def test_sections_are_held_out_by_their_headings() -> None:
    held = choose(HoldoutSettings(sections="^Notes of [ab]"))
    assert held.doc_ids == frozenset()
    assert held.skips(candidate("a", "Notes of a"))
    assert not held.skips(candidate("c", "Notes of c"))
    assert not held.skips(candidate("a", "Rules"))


def test_a_document_of_which_all_sections_match_is_held_out_whole() -> None:
    held = choose(HoldoutSettings(documents=("a.pdf",), sections="^(Rules|Notes of b)$"))
    assert held.doc_ids == {"a", "b"}
    assert held.sections == {(name, ("Manual", "Rules")) for name in "cde"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (HoldoutSettings(documents=("x.pdf", "a.pdf")), r"not among the documents that were read: x\.pdf"),
        (HoldoutSettings(sections="Nowhere"), "no section's heading matches 'Nowhere'"),
        (HoldoutSettings(documents=tuple(f"{name}.pdf" for name in NAMES)), "all 5 documents are held out"),
        (HoldoutSettings(sections="Manual"), "all 5 documents are held out"),
    ],
)
def test_what_does_not_fit_is_told(settings: HoldoutSettings, said: str) -> None:
    with pytest.raises(QuestionError, match=said):
        choose(settings)
