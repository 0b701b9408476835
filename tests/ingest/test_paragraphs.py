from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.transcribed import paragraph_starts, plain, share_in_order

from fourfold.ingest.lines import Line
from fourfold.ingest.paragraphs import arrange, text_of
from fourfold.ingest.pdf import read_pdf
from fourfold.ingest.sections import Piece

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fourfold.types import BlockKind


def lines(texts: Sequence[str], *, x: float = 72, y: float = 100, size: float = 10) -> tuple[Line, ...]:
    """Lines of one width; a leading space sets one in by an em."""
    return tuple(
        Line(
            text=text.strip(),
            bbox=(x + 10 * text.startswith(" "), y + 12 * at, x + 200, y + 12 * at + 10),
            size=size,
            bold=False,
        )
        for at, text in enumerate(texts)
    )


def piece(texts: Sequence[str], *, kind: BlockKind = "text", page: int = 1, **place: Any) -> Piece:
    made = lines(texts, **place)
    whole = Piece(kind=kind, page=page, page_last=page, lines=made, section=("Aims",), bbox=(0, 0, 0, 0))
    return whole.boxed()


def read(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    return [(piece.kind, text_of(piece, words={"information"})) for piece in arrange(pieces)]


LEFT = piece(["A stand that is late meets", "the dry weeks of June before its"], y=700)
RIGHT = piece(["roots have gone down. That", "costs a third."], x=320)


def test_a_paragraph_goes_on_in_the_next_column() -> None:
    (joined,) = arrange([LEFT, RIGHT])
    assert text_of(joined, words=()) == (
        "A stand that is late meets the dry weeks of June before its roots have gone down. That costs a third."
    )
    assert joined.bbox == LEFT.bbox


def test_a_paragraph_goes_on_over_the_page_and_keeps_its_first_page() -> None:
    after = piece(["roots have gone down."], page=2)
    (joined,) = arrange([LEFT, after])
    assert (joined.page, joined.page_last) == (1, 2)


def test_notes_tables_and_captions_do_not_part_a_paragraph() -> None:
    between = [
        piece(["1 Sown in March."], kind="footnote", y=740, size=8),
        piece(["| a | b |"], kind="table", x=320, y=50),
        piece(["Figure 1. Roots"], x=320, y=80),
    ]
    found = arrange([LEFT, *between, RIGHT])
    assert [one.kind for one in found] == ["text", "footnote", "table", "caption"]


def test_a_word_divided_at_the_columns_end_is_whole_again() -> None:
    assert read([piece(["It is some infor-"], y=700), piece(["mation on oats."], x=320)]) == [
        ("text", "It is some information on oats.")
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (piece(["It ends here."], y=700), RIGHT),
        (piece(["Does it end here?"], y=700), RIGHT),
        (piece(["and so on, as was said above.3"], y=700), RIGHT),
        (LEFT, piece(["roots in large type"], x=320, size=14)),
        (LEFT, replace(RIGHT, section=("Means",))),
        (LEFT, replace(RIGHT, page=3, page_last=3)),
        (piece(["library(emmeans)"], y=700), piece(["library(broom)"], y=720)),
        (piece(["reports the state of it"], y=700), piece(["The options that", "are known here."], page=2)),
    ],
    ids=[
        "full stop",
        "question",
        "footnote's mark",
        "size",
        "section",
        "page left out",
        "lines of code",
        "one line alone",
    ],
)
def test_paragraphs_that_do_not_go_on_stay_apart(before: Piece, after: Piece) -> None:
    assert len(arrange([before, after])) == 2


def test_a_block_is_parted_where_a_line_is_set_in() -> None:
    block = piece(["One paragraph that goes", "on and ends.", " Another one opens here", "and goes on."])
    assert read([block]) == [
        ("text", "One paragraph that goes on and ends."),
        ("text", "Another one opens here and goes on."),
    ]


def test_a_line_set_in_within_a_sentence_parts_nothing() -> None:
    assert len(arrange([piece(["A quotation:", "one that goes", " on set in", "and ends."])])) == 1


def test_centred_lines_are_one_paragraph() -> None:
    assert len(arrange([piece([" A title.", " Its author.", "And the place of both.", " Its year."])])) == 1


def test_items_of_a_list_are_lines_of_one_block() -> None:
    blocks = [piece(["• barley, sown", "in March"]), piece(["• oats"], y=130), piece(["Then comes text."], y=160)]
    assert read(blocks) == [("list", "• barley, sown in March\n• oats"), ("text", "Then comes text.")]


def test_lists_of_two_pages_are_two_blocks() -> None:
    assert len(arrange([piece(["• barley"]), piece(["• oats"], page=2)])) == 2


def test_a_list_has_the_box_of_all_its_items() -> None:
    first, second = piece(["• barley"]), piece(["• oats"], y=130)
    (found,) = arrange([first, second])
    assert found.bbox == (*first.bbox[:2], *second.bbox[2:])


def test_every_line_is_in_one_piece() -> None:
    blocks = [LEFT, piece(["1 A note.", "2 Another."], kind="footnote"), RIGHT, piece(["• a", "• b"]), piece(["End."])]
    kept = sorted(line.text for one in arrange(blocks) for line in one.lines)
    assert kept == sorted(line.text for one in blocks for line in one.lines)


def test_notes_in_one_block_are_parted_at_their_marks() -> None:
    notes = piece(["1 Sown in March, as", "was said.", "2 And deep."], kind="footnote", size=8)
    assert read([notes]) == [("footnote", "1 Sown in March, as was said."), ("footnote", "2 And deep.")]


@pytest.mark.parametrize("name", list(paragraph_starts()))
def test_real_paragraphs_come_in_the_order_in_which_they_are_read(test_data: Path, name: str) -> None:
    starts = paragraph_starts()[name]
    _, blocks = read_pdf(test_data / "pdf" / "difficult" / name)
    assert share_in_order(starts, "\n\n".join(block.text for block in blocks)) >= 0.95
    openings = [plain(line) for block in blocks for line in block.text.split("\n")]
    opened = [any(one.lstrip("•").startswith(plain(start)) for one in openings) for start in starts]
    assert sum(opened) >= 0.95 * len(starts)


def test_the_measure_of_order_sees_disorder() -> None:
    assert share_in_order(["One", "Two", "Three", "Four"], "One Three Two Four") == 0.75
    assert share_in_order(["One", "Two"], "One") == 0.5
