from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from fourfold.ingest.candidates import find_candidates, share_out
from fourfold.types import Block, BlockKind, Document

if TYPE_CHECKING:
    from collections.abc import Sequence

WHOLE = "Every crew checks its own valve before the shift begins."


def document(doc_id: str, *, status: Literal["read", "unread"] = "read") -> Document:
    return Document(doc_id=doc_id, name=f"{doc_id}.pdf", title="", status=status, reason=None, n_pages=9, n_chars=1000)


def lay_out(doc_id: str, texts: Sequence[tuple[str, str]], *, kind: BlockKind = "text") -> list[Block]:
    """Blocks of (section, text), one below the other, a page each."""
    blocks: list[Block] = []
    start = 0
    for at, (section, text) in enumerate(texts):
        end = start + len(text)
        blocks.append(
            Block(
                doc_id=doc_id, position=at, kind=kind, page=at + 1, bbox=(0, 0, 1, 1), start=start, end=end,
                section=("Manual", section), text=text,
            )
        )  # fmt: skip
        start = end + len("\n\n")
    return blocks


def quotes(blocks: Sequence[Block], doc_id: str = "d", *, seed: int = 0) -> list[str]:
    return [candidate.quote for candidate in find_candidates([document(doc_id)], blocks, seed=seed)[doc_id]]


def test_a_candidate_says_where_it_stands() -> None:
    blocks = lay_out("d", [("A", "No sentence of eight words."), ("B", f"Too short. {WHOLE} Too short, too.")])
    (candidate,) = find_candidates([document("d")], blocks, seed=0)["d"]
    text = "\n\n".join(block.text for block in blocks)
    assert text[candidate.start : candidate.end] == candidate.quote == WHOLE
    assert (candidate.doc_id, candidate.document, candidate.page) == ("d", "d.pdf", 2)
    assert candidate.section == ("Manual", "B")


@pytest.mark.parametrize(
    ("sentence", "taken"),
    [
        ("One two three four five six seven eight.", True),
        ("One two three four five six seven.", False),
        ("One " + "two " * 43 + "end.", True),
        ("One " + "two " * 44 + "end.", False),
        ("One pump of version 2.5 costs 3.75 in all.", True),
        ("one two three four five six seven eight.", False),
        ("Does every crew check its own valve each day?", False),
        ("Every crew checks its own valve, as this section says.", False),
        ("Every crew checks the valves in the following table.", False),
        ("Every crew checks its own valve (see section 4).", False),
        ("Every crew checks its own valve, see also below.", False),
        ("Every crew checks its own valve and the next one.", True),
        ("Yes from the list. o Do not change the valve of any crew.", False),
        ("Choose yes for every valve of the crew • Click the button.", False),
    ],
)
def test_a_candidate_is_a_whole_sentence_of_8_to_45_words_that_points_nowhere(sentence: str, taken: bool) -> None:
    found = quotes(lay_out("d", [("A", WHOLE), ("A", sentence)]))
    assert sorted(found) == sorted([WHOLE, sentence] if taken else [WHOLE])


def test_a_sentence_ends_before_a_capital_a_quotation_mark_or_a_bracket() -> None:
    nexts = ["“Valve” is what all crews of the plant say.", "(That holds for all crews of the plant.", "The end."]
    assert sorted(quotes(lay_out("d", [("A", f"{WHOLE} {some}") for some in nexts]))) == [WHOLE] * 3


def test_headings_give_no_candidates() -> None:
    assert quotes(lay_out("d", [("A", WHOLE)], kind="heading")) == []


def test_items_of_a_list_give_their_sentences_without_their_marks() -> None:
    items = [
        f"• {WHOLE} Too short.",
        "• barley, sown in March before the weeds have come up",
        f"2. {WHOLE[:-1]} again.",
    ]
    blocks = lay_out("d", [("A", "Before it."), ("B", "\n".join(items))], kind="list")
    found = find_candidates([document("d")], blocks, seed=0)["d"]
    assert sorted(some.quote for some in found) == [f"{WHOLE[:-1]} again.", WHOLE]
    text = "\n\n".join(block.text for block in blocks)
    assert all(text[some.start : some.end] == some.quote for some in found)


def test_a_document_of_lists_alone_gives_its_items() -> None:
    blocks = lay_out("d", [("A", "• valve: 4 bar\n• pump: 7 bar, red")], kind="list")
    assert quotes(blocks) == ["pump: 7 bar, red"]


def test_only_a_document_without_sentences_gives_its_blocks_of_four_words_and_more() -> None:
    bare = [("A", "valve: 4 bar"), ("A", "pump: 7 bar, red"), ("B", "Check it.")]
    documents = [document("bare"), document("full")]
    blocks = [*lay_out("bare", bare), *lay_out("full", [*bare, ("C", WHOLE)])]
    found = find_candidates(documents, blocks, seed=0)
    assert [(some.quote, some.start, some.end) for some in found["bare"]] == [("pump: 7 bar, red", 14, 30)]
    assert [some.quote for some in found["full"]] == [WHOLE]


def test_every_read_document_is_there_and_no_unread_one() -> None:
    documents = [document("empty"), document("d"), document("u", status="unread")]
    found = find_candidates(documents, lay_out("d", [("A", WHOLE)]), seed=0)
    assert {doc_id: len(some) for doc_id, some in found.items()} == {"empty": 0, "d": 1}


def many(*sections: str) -> list[Block]:
    return lay_out("d", [(section, f"{WHOLE[:-1]} number {at}.") for at, section in enumerate(sections)])


@pytest.mark.parametrize("seed", range(5))
def test_sections_take_turns(seed: int) -> None:
    found = find_candidates([document("d")], many("A", "A", "A", "B", "C", "C"), seed=seed)["d"]
    turns = [some.section[-1] for some in found]
    assert sorted(turns[:3]) == ["A", "B", "C"]
    assert sorted(turns[3:5]) == ["A", "C"]
    assert turns[5:] == ["A"]


def test_the_seed_sets_which_section_comes_first() -> None:
    firsts = {find_candidates([document("d")], many(*"ABC"), seed=seed)["d"][0].section[-1] for seed in range(20)}
    assert firsts == {"A", "B", "C"}


def test_the_seed_sets_the_order() -> None:
    blocks = many(*"ABCDEFGH" * 3)
    assert quotes(blocks, seed=1) == quotes(blocks, seed=1)
    assert quotes(blocks, seed=1) != quotes(blocks, seed=2)
    assert sorted(quotes(blocks, seed=1)) == sorted(quotes(blocks, seed=2))


@pytest.mark.parametrize(
    ("n_wanted", "sizes", "expected"),
    [
        (10, {"a": 50, "b": 30, "c": 20}, {"a": 5, "b": 3, "c": 2}),
        # Shares 3.5, 3.3, 3.2.
        (10, {"a": 32, "b": 35, "c": 33}, {"a": 3, "b": 4, "c": 3}),
        # Equal remainders: the first by id.
        (10, {"c": 1, "b": 1, "a": 1}, {"a": 4, "b": 3, "c": 3}),
        # Shares 0.1, 0.1, 9.8: what small documents get beyond their share, the large one does not.
        (10, {"a": 1, "b": 1, "c": 98}, {"a": 1, "b": 1, "c": 8}),
        # Shares 0.9, 4.6, 4.5: "a" is above its share already.
        (10, {"a": 9, "b": 46, "c": 45}, {"a": 1, "b": 5, "c": 4}),
        (1, {"a": 5, "b": 7, "c": 9}, {"a": 1, "b": 1, "c": 1}),
        (4, {"a": 0, "b": 8}, {"a": 1, "b": 3}),
        (4, {"a": 0, "b": 0}, {"a": 1, "b": 1}),
        (4, {}, {}),
    ],
)
def test_questions_are_shared_out_by_size(n_wanted: int, sizes: dict[str, int], expected: dict[str, int]) -> None:
    assert share_out(n_wanted, sizes) == expected


@pytest.mark.parametrize("n_wanted", range(1, 40))
def test_as_many_as_wanted_are_shared_out_or_one_a_document(n_wanted: int) -> None:
    quota = share_out(n_wanted, {"a": 1, "b": 2, "c": 3, "d": 50, "e": 7, "f": 400})
    assert sum(quota.values()) == max(n_wanted, 6)
    assert min(quota.values()) >= 1
