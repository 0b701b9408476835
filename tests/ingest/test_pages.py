from __future__ import annotations

import pymupdf
import pytest
from support.pdfs import A4, PROSE, Text, column, drawing_pdf, pdf_bytes, picture_pdf

from fourfold.ingest.lines import Line, clean, join_lines
from fourfold.ingest.pages import PageText, read_page, words_of


def first_page(data: bytes) -> PageText:
    with pymupdf.open(stream=data, filetype="pdf") as pdf:
        return read_page(pdf[0], number=1)


def texts(page: PageText) -> list[str]:
    return [line.text for block in page.blocks for line in block]


def side(name: str) -> list[str]:
    return [f"{name} {at} {line[:34].strip()}" for at, line in enumerate(PROSE * 3)]


def line(text: str, styles: tuple[str, str, str] = ("", "", "")) -> Line:
    return Line(text=text, bbox=(0, 0, 1, 1), size=10, bold=False, styles=styles)


def test_the_left_column_is_read_before_the_right_one() -> None:
    left, right = side("left"), side("right")
    page = first_page(pdf_bytes([[*column(310, 100, right), *column(72, 100, left)]]))
    assert texts(page) == [*left, *right]


def test_columns_drawn_row_by_row_are_read_column_by_column() -> None:
    left, right = side("left"), side("right")
    rows = zip(column(72, 100, left), column(310, 100, right), strict=True)
    page = first_page(pdf_bytes([[text for row in rows for text in row]]))
    assert texts(page) == [*left, *right]


def test_three_columns_are_read_from_left_to_right() -> None:
    names = ["one", "two", "three"]
    columns = [[f"{name} {at} barley and oats here" for at in range(12)] for name in names]
    drawn = [column(50 + 175 * at, 100, columns[at], size=9) for at in (2, 0, 1)]
    page = first_page(pdf_bytes([[text for some in drawn for text in some]]))
    assert texts(page) == [text for some in columns for text in some]


def test_a_heading_across_both_columns_splits_them() -> None:
    above, below = (side("upper left"), side("upper right")), (side("lower left"), side("lower right"))
    heading = "A heading that goes across both columns of the page"
    drawn = [
        *column(72, 100, above[0]),
        *column(310, 100, above[1]),
        *column(72, 400, below[0]),
        *column(310, 400, below[1]),
        Text(72, 340, heading, 18),
    ]
    page = first_page(pdf_bytes([drawn]))
    assert texts(page) == [*above[0], *above[1], heading, *below[0], *below[1]]


def test_paragraph_gaps_at_one_height_in_both_columns_do_not_mix_the_columns() -> None:
    left = [[f"left {name} {text[:30].strip()}" for text in PROSE] for name in ("top", "end")]
    right = [text[:40] for text in PROSE]
    drawn = [
        Text(72, 60, "A title line that is as wide as the two columns under it taken together", 13),
        *column(72, 100, left[0]),
        *column(72, 200, left[1]),
        *column(310, 100, right),
        *column(310, 200, right),
    ]
    read = texts(first_page(pdf_bytes([drawn])))
    assert read[1:11] == [*left[0], *left[1]]


def test_cells_of_a_table_are_read_row_by_row() -> None:
    cells = [Text(72 + 150 * x, 100 + 40 * y, f"r{y}c{x}") for x in range(3) for y in range(5)]
    read = " ".join(texts(first_page(pdf_bytes([cells]))))
    assert read.split() == [f"r{y}c{x}" for y in range(5) for x in range(3)]


def test_labels_are_read_with_their_values() -> None:
    drawn = [*column(72, 100, ["Name:", "Street:", "Town:"], leading=30)]
    drawn += column(200, 100, ["Ada Lovelace", "12 St James's Square", "London"], leading=30)
    read = " ".join(texts(first_page(pdf_bytes([drawn]))))
    assert read == "Name: Ada Lovelace Street: 12 St James's Square Town: London"


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_boxes_are_those_of_the_page_as_displayed(rotation: int) -> None:
    page = first_page(pdf_bytes([[Text(72, 100, "Here.")]], rotation=rotation))
    x0, y0, x1, y1 = page.blocks[0][0].bbox
    expected_size = A4 if rotation == 180 else A4[::-1]
    assert (page.width, page.height) == expected_size
    middle = {90: (A4[1] - 97, 84), 180: (A4[0] - 84, A4[1] - 97), 270: (97, A4[0] - 84)}[rotation]
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx(middle, abs=4)
    assert (x1 - x0 < y1 - y0) == (rotation != 180)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_reading_order_does_not_depend_on_the_rotation(rotation: int) -> None:
    drawn = [Text(72, 60, "A title line"), *column(310, 100, side("right")), *column(72, 100, side("left"))]
    assert texts(first_page(pdf_bytes([drawn], rotation=rotation))) == texts(first_page(pdf_bytes([drawn])))


def test_text_in_another_direction_comes_after_the_rest() -> None:
    with pymupdf.open() as pdf:
        page = pdf.new_page()
        page.insert_text((30, 400), "stamp in the margin", rotate=90)
        page.insert_text((72, 500), "The text of the page, longer than the stamp.")
        assert texts(read_page(page, number=1)) == [
            "The text of the page, longer than the stamp.",
            "stamp in the margin",
        ]


def test_pieces_of_one_row_are_one_line() -> None:
    page = first_page(pdf_bytes([[Text(72, 100, "1"), Text(100, 100, "Foo")]]))
    assert texts(page) == ["1 Foo"]


def test_size_and_boldness_are_recorded() -> None:
    page = first_page(pdf_bytes([[Text(72, 100, "Heading", 16, bold=True), Text(72, 140, "Text", 9)]]))
    assert [(block[0].size, block[0].bold) for block in page.blocks] == [(16, True), (9, False)]


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (pdf_bytes([[Text(72, 100, "Text")]]), "text"),
        (picture_pdf(), "images"),
        (drawing_pdf(), "drawings"),
        (pdf_bytes([[]]), "nothing"),
    ],
    ids=["text", "picture", "drawing", "blank"],
)
def test_a_page_says_what_it_shows(data: bytes, content: str) -> None:
    assert first_page(data).content == content


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("ﬁeld, ﬂow, oﬃce, ﬆone", "field, flow, office, stone"),
        ("soft\u00adhyphen", "softhyphen"),
        ("kept at the end\u00ad", "kept at the end\u00ad"),
        ("a\u00a0b\t c\x0bd", "a b c d"),
        ("nul\x00 bell\x07 half\ud800 zero\u200bwidth", "nul bell half zerowidth"),
        ("cafe\u0301", "café"),
        ("Voting . . . . . . . . . 11", "Voting … 11"),
        ("wait ... and ....", "wait ... and ...."),
        ("\uf0b7 item", "• item"),
    ],
)
def test_characters_are_normalised(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["one", "two"], "one two"),
        (["the informa-", "tion here"], "the information here"),
        (["a Debian-", "specific file"], "a Debian-specific file"),
        (["the X-", "Ray"], "the X-Ray"),
        (["UTF-", "8"], "UTF-8"),
        (["pages 12–", "15"], "pages 12–15"),
        (["pre-", "and postwar"], "pre- and postwar"),
        (["a dash -", "and more"], "a dash - and more"),
        (["soft\u00ad", "ware"], "software"),
        (["at https://", "example.org"], "at https://example.org"),
        (["中文", "文本"], "中文文本"),
        (["last\u00ad"], "last"),
        ([], ""),
    ],
)
def test_lines_are_joined_without_the_hyphens_of_line_breaks(lines: list[str], joined: str) -> None:
    assert join_lines(map(line, lines), words={"information", "and"}) == joined


def test_a_path_in_its_own_style_goes_on_over_the_line_break() -> None:
    before, after = line("see /usr/share/", ("text", "text", "code")), line("doc for it", ("code", "text", "text"))
    assert join_lines([before, after], words=()) == "see /usr/share/doc for it"


def test_lines_of_a_listing_are_not_taken_for_a_path() -> None:
    code = ("code", "code", "code")
    assert join_lines([line("cd build/", code), line("make", code)], words=()) == "cd build/ make"


def test_words_are_lower_case_and_without_hyphens() -> None:
    page = PageText(number=1, width=1, height=1, blocks=((line("Non-free Files, 2nd"),),), content="text")
    assert words_of([page]) == {"non", "free", "files", "nd"}
