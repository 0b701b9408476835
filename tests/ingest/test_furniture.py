from __future__ import annotations

import pytest

from fourfold.ingest.furniture import strip_furniture
from fourfold.ingest.lines import Line
from fourfold.ingest.pages import PageText

TOP, MIDDLE, BOTTOM = 30.0, 400.0, 760.0


def at(y: float, text: str, *, size: float = 10) -> Line:
    return Line(text=text, bbox=(72, y, 72 + 5 * len(text), y + size), size=size, bold=False)


def page(number: int, *lines: Line) -> PageText:
    body = [at(y, f"Body text of page {'abcdefghijklmnopqrstuvwxyz'[number % 26]}, line {y}") for y in (100.0, 700.0)]
    ordered = sorted([*lines, *body], key=lambda line: line.bbox[1])
    return PageText(number=number, width=595, height=800, blocks=tuple((line,) for line in ordered), content="text")


def left_over(pages: list[PageText]) -> list[str]:
    stripped, _ = strip_furniture(pages)
    lines = [line.text for page in stripped for block in page.blocks for line in block]
    return [text for text in lines if not text.startswith("Body text")]


def test_a_header_on_three_pages_goes() -> None:
    assert left_over([page(n, at(TOP, "Policy Manual, Release 4.6.2.0")) for n in (1, 2, 3)]) == []


def test_a_header_on_two_pages_stays() -> None:
    pages = [page(1, at(TOP, "Header")), page(2, at(TOP, "Header")), page(3)]
    assert left_over(pages) == ["Header", "Header"]


def test_headers_of_odd_and_even_pages_go() -> None:
    assert left_over([page(n, at(TOP, "A Book" if n % 2 else "Its Author")) for n in range(1, 9)]) == []


def test_a_header_of_one_chapter_goes() -> None:
    pages = [page(n, *([at(TOP, "Chapter four")] if 20 <= n <= 28 and n % 2 else [])) for n in range(1, 61)]
    assert left_over(pages) == []


def test_a_text_that_comes_again_now_and_then_stays() -> None:
    pages = [page(n, *([at(TOP, "Example")] if n % 12 == 0 else [])) for n in range(1, 61)]
    assert left_over(pages) == ["Example"] * 5


def test_headers_that_change_with_the_section_go_by_their_page_number() -> None:
    titles = ["Mailing lists", "IRC channels", "Documentation", "Machines", "Mirrors"]
    pages = [page(n, at(TOP, f"4.{n}. {title} {n + 22}")) for n, title in enumerate(titles, start=1)]
    assert left_over(pages) == []


def test_headers_go_that_stand_where_other_furniture_stands() -> None:
    pages = [page(n, at(TOP, "Odd pages" if n % 2 else f"Title {'abcdef'[n]}")) for n in range(1, 6)]
    assert left_over(pages) == []


def test_the_same_text_in_the_middle_of_the_page_stays() -> None:
    assert left_over([page(n, at(MIDDLE, "Note")) for n in (1, 2, 3)]) == ["Note"] * 3


@pytest.mark.parametrize("form", ["{}", "- {} -", "Page {}", "Page {} of 12", "{}/12", "[{}]"])
def test_bare_page_numbers_go(form: str) -> None:
    assert left_over([page(n, at(BOTTOM, form.format(n + 6))) for n in (1, 2, 3, 4)]) == []


def test_roman_page_numbers_go() -> None:
    assert left_over([page(n, at(BOTTOM, roman)) for n, roman in enumerate(["i", "ii", "iii", "iv"], start=1)]) == []


def test_a_page_number_outside_the_bands_goes_if_it_is_the_last_line() -> None:
    assert left_over([page(n, at(715, str(n))) for n in (1, 2, 3)]) == []


def test_the_number_of_a_single_page_goes() -> None:
    assert left_over([page(1, at(BOTTOM, "1"))]) == []


def test_a_number_that_does_not_count_with_the_pages_stays() -> None:
    assert left_over([page(1, at(BOTTOM, "17")), page(2, at(BOTTOM, "4")), page(3, at(BOTTOM, "90"))]) == [
        *("17", "4", "90")
    ]


def test_headings_that_count_with_the_pages_stay() -> None:
    headings = ["1 Aims", "2 Means", "3 Results", "4 Ends"]
    pages = [page(n, at(TOP, heading, size=16)) for n, heading in enumerate(headings, start=1)]
    assert left_over(pages) == headings


def test_characters_taken_off_are_counted_without_white_space() -> None:
    assert strip_furniture([page(n, at(TOP, "A b c")) for n in (1, 2, 3)])[1] == 9


def test_a_line_glued_to_a_paragraph_goes_alone() -> None:
    pages = []
    for n in (1, 2, 3):
        block = (at(TOP, "Header"), at(60, f"Body text {'abc'[n - 1]}"))
        pages.append(PageText(number=n, width=595, height=800, blocks=(block,), content="text"))
    stripped, _ = strip_furniture(pages)
    assert [[line.text for line in page.blocks[0]] for page in stripped] == [[f"Body text {x}"] for x in "abc"]


def test_no_pages_and_pages_without_text_are_no_trouble() -> None:
    empty = PageText(number=1, width=595, height=800, blocks=(), content="nothing")
    assert strip_furniture([]) == ((), 0)
    assert strip_furniture([empty]) == ((empty,), 0)
