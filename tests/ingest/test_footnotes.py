from __future__ import annotations

from fourfold.ingest.footnotes import mark_footnotes
from fourfold.ingest.lines import Line
from fourfold.ingest.pages import PageText


def line(text: str, y: float, *, size: float = 10, x: float = 72) -> Line:
    return Line(text=text, bbox=(x, y, x + 150, y + size), size=size, bold=False)


def notes(*lines: Line) -> list[str]:
    page = PageText(number=1, width=595, height=842, blocks=tuple((one,) for one in lines), content="text")
    (marked,) = mark_footnotes([page])
    assert [one.text for block in marked.blocks for one in block] == [one.text for one in lines]
    return [one.text for block in marked.blocks for one in block if one.kind == "footnote"]


BODY = line("The text of the page, which is longer than its notes are.", 100)


def test_small_lines_with_a_mark_below_the_text_are_footnotes() -> None:
    small = [line("1 Sown in early March.", 700, size=8), line("and again in late April.", 710, size=8)]
    assert notes(BODY, *small) == [one.text for one in small]


def test_what_is_left_of_the_note_before_goes_with_the_others() -> None:
    small = [line("as was said in the report.", 700, size=8), line("13 More than ten degrees.", 710, size=8)]
    assert len(notes(BODY, *small)) == 2


def test_each_column_has_its_own_foot() -> None:
    right = [line("The text of the other column goes down to the foot.", 730, x=320)]
    assert notes(BODY, line("* Sown in early March.", 700, size=8), *right) == ["* Sown in early March."]


def test_small_lines_above_text_are_none() -> None:
    assert notes(BODY, line("1 Sown in early March.", 200, size=8), line("More text of the page.", 300)) == []


def test_small_lines_without_a_mark_are_none() -> None:
    assert notes(BODY, line("Printed on paper from old oats.", 700, size=8)) == []


def test_items_of_a_small_list_are_none() -> None:
    assert notes(BODY, line("1. Open the file of the soils.", 700, size=8)) == []


def test_labels_of_a_figure_are_none() -> None:
    assert notes(BODY, line("0 VF", 700, size=6), line("10", 710, size=6), line("20", 720, size=6)) == []


def test_lines_of_the_bodys_size_are_none() -> None:
    assert notes(BODY, line("1 Sown in early March.", 700)) == []
