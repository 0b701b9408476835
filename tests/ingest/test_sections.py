from __future__ import annotations

import pytest

from fourfold.ingest.lines import Line
from fourfold.ingest.pages import PageText
from fourfold.ingest.sections import Sections, find_sections, without_number

Row = tuple[str, float, bool]


def title(text: str, size: float = 14) -> Row:
    return text, size, True


def plain(text: str) -> Row:
    return text, 10, False


def pages(*blocks_of_pages: list[list[Row]]) -> list[PageText]:
    """Pages of blocks, set one under the other."""
    made = []
    for number, blocks in enumerate(blocks_of_pages, start=1):
        y, placed = 50.0, []
        for block in blocks:
            rows = []
            for text, size, bold in block:
                y += size + 2
                rows.append(Line(text=text, bbox=(72, y - size, 300, y), size=size, bold=bold))
            y += 10
            placed.append(tuple(rows))
        made.append(PageText(number=number, width=595, height=842, blocks=tuple(placed), content="text"))
    return made


def headings(sections: Sections) -> list[tuple[str, ...]]:
    return [piece.section for piece in sections.pieces if piece.kind == "heading"]


def section_of(sections: Sections, start: str) -> tuple[str, ...]:
    (found,) = [piece for piece in sections.pieces if piece.lines[0].text.startswith(start)]
    return found.section


BODY = [plain("Some body text that is long enough to be the most common size of all."), plain("And more of it here.")]


def test_outline_titles_become_the_path_without_their_numbers() -> None:
    found = find_sections(
        pages([[title("1 Aims")], BODY, [title("1.1 Scope", 12)], BODY, [title("2 Means")], BODY]),
        [(1, "Chapter 1: Aims", 1), (2, "1.1. Scope", 1), (1, "Means", 1)],
    )
    assert found.source == "outline"
    assert headings(found) == [("Aims",), ("Aims", "Scope"), ("Means",)]
    assert (found.n_entries, found.n_found) == (3, 3)


def test_text_stands_under_the_last_heading_before_it() -> None:
    found = find_sections(
        pages([[plain("Preface")], [title("Aims")], [plain("Aim text")]], [[plain("More")], [title("Means")]]),
        [(1, "Aims", 1), (1, "Means", 2)],
    )
    assert [piece.section for piece in found.pieces] == [(), ("Aims",), ("Aims",), ("Aims",), ("Means",)]


def test_a_heading_glued_to_a_paragraph_is_split_off() -> None:
    found = find_sections(
        pages([[plain("End of the one before."), plain("Aims"), *BODY], [title("Means")]]),
        [(1, "Aims", 1), (1, "Means", 1)],
    )
    assert [(piece.kind, piece.lines[0].text) for piece in found.pieces][:3] == [
        ("text", "End of the one before."),
        ("heading", "Aims"),
        ("text", BODY[0][0]),
    ]


def test_chapter_labels_above_a_heading_belong_to_it() -> None:
    found = find_sections(
        pages([[title("CHAPTER", 10)], [title("TWO")], [title("THE ARCHIVE")], BODY, [title("Files")], BODY]),
        [(1, "The Archive", 1), (1, "Files", 1)],
    )
    assert [line.text for line in found.pieces[0].lines] == ["CHAPTER", "TWO", "THE ARCHIVE"]
    assert headings(found)[0] == ("The Archive",)


def test_a_heading_over_two_lines_is_found() -> None:
    found = find_sections(
        pages([[title("Moving, removing and"), title("adopting packages")], BODY, [title("Next")]]),
        [(1, "Moving, removing and adopting packages", 1), (1, "Next", 1)],
    )
    assert headings(found)[0] == ("Moving, removing and adopting packages",)


def test_spelling_of_quotes_spaces_and_case_does_not_matter() -> None:
    found = find_sections(
        pages([[title("USER’S FILES (“DOTFILES”)")], BODY, [title("The debian/rules file")]]),
        [(1, 'User\'s files  ("dotfiles")', 1), (1, "The  debian / rules file", 1)],
    )
    assert headings(found) == [('User\'s files ("dotfiles")',), ("The debian / rules file",)]


def test_a_heading_on_a_neighbouring_page_is_found() -> None:
    found = find_sections(pages([BODY], [[title("Aims")], BODY], [[title("Means")]]), [(1, "Aims", 1), (1, "Means", 3)])
    assert [piece.page for piece in found.pieces if piece.kind == "heading"] == [2, 3]


def test_the_line_that_looks_like_a_heading_is_preferred() -> None:
    found = find_sections(
        pages([[plain("Sections")], BODY, [title("Sections")], BODY, [title("Next")]]),
        [(1, "Sections", 1), (1, "Next", 1)],
    )
    assert [piece.lines[0].bold for piece in found.pieces if piece.kind == "heading"] == [True, True]


def test_equal_titles_on_one_page_are_taken_in_order() -> None:
    found = find_sections(
        pages([[title("One")], [title("Introduction")], [plain("a")], [title("Two")], [title("Introduction")]]),
        [(1, "One", 1), (2, "Introduction", 1), (1, "Two", 1), (2, "Introduction", 1)],
    )
    assert headings(found) == [("One",), ("One", "Introduction"), ("Two",), ("Two", "Introduction")]


def test_an_entry_that_is_not_found_starts_nothing_but_stays_in_the_paths_below_it() -> None:
    found = find_sections(
        pages([[title("Aims")], [plain("Aim text")], [plain("Cover of part two")], [title("Tools")]]),
        [(1, "Aims", 1), (1, "Part two on a picture", 1), (2, "Tools", 1)],
    )
    assert section_of(found, "Cover") == ("Aims",)
    assert section_of(found, "Tools") == ("Part two on a picture", "Tools")
    assert (found.n_entries, found.n_found) == (3, 2)


def test_an_outline_of_another_document_is_not_used() -> None:
    outline = [(1, name, 1) for name in ("First", "Second", "Third", "Aims")]
    found = find_sections(pages([[title("Aims")], BODY, [title("Means")], BODY]), outline)
    assert found.source == "type"
    assert headings(found) == [("Aims",), ("Means",)]


def test_larger_lines_are_headings_without_an_outline() -> None:
    found = find_sections(
        pages([[("1 Aims", 16, False), *BODY], [("1.1 Scope", 12, False)], BODY, [("2 Means", 16, False)]]), []
    )
    assert headings(found) == [("Aims",), ("Aims", "Scope"), ("Means",)]
    assert [piece.kind for piece in found.pieces] == ["heading", "text", "heading", "text", "heading"]


def test_bold_lines_that_stand_alone_are_headings() -> None:
    assert headings(find_sections(pages([[title("Costs", 10)], BODY]), [])) == [("Costs",)]


@pytest.mark.parametrize(
    "block",
    [
        [title("Bold run-in.", 10), plain("and the paragraph that it opens, which goes on.")],
        [title("This is a bold sentence with a full stop.", 10)],
        [title("Note:", 10)],
        [title("Table 3 Yields", 10)],
        [title("Voting … 11", 10)],
        [title("1.5", 16)],
        [title("continued from above", 16)],
        [title("A warning in large type that goes on for so long that it " * 3, 16)],
    ],
    ids=["run-in", "sentence", "label", "caption", "contents", "number", "lower case", "long"],
)
def test_lines_that_do_not_read_as_titles_are_text(block: list[Row]) -> None:
    assert headings(find_sections(pages([BODY, block, BODY]), [])) == []


def test_bold_cells_side_by_side_are_text() -> None:
    cells = [
        Line(text=text, bbox=(x, 100, x + 50, 110), size=10, bold=True) for text, x in (("State", 72), ("Sum", 200))
    ]
    body = Line(text=BODY[0][0], bbox=(72, 200, 300, 210), size=10, bold=False)
    page = PageText(number=1, width=595, height=842, blocks=((cells[0],), (cells[1],), (body,)), content="text")
    assert headings(find_sections([page], [])) == []


def test_levels_by_size_are_at_most_four() -> None:
    sizes = [28, 24, 20, 18, 16, 14]
    found = find_sections(pages([*[[("Heading", size, False)] for size in sizes], BODY * 9]), [])
    assert [len(section) for section in headings(found)] == [1, 2, 3, 4, 4, 4]


def test_a_document_without_text_has_no_pieces() -> None:
    assert find_sections([], [(1, "Aims", 1)]).pieces == ()


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("5.8.2 Bugs", "Bugs"),
        ("5.8.2. Bugs", "Bugs"),
        ("3 Duties", "Duties"),
        ("3) Duties", "Duties"),
        ("Chapter 3", "Chapter 3"),
        ("Chapter 3: Duties", "Duties"),
        ("CHAPTER IV Duties", "Duties"),
        ("Appendix A. Tools", "Tools"),
        ("A.1 Tools", "Tools"),
        ("IV. Tools", "Tools"),
        ("2024 report", "2024 report"),
        ("A package", "A package"),
        ("Part of the system", "Part of the system"),
        ("X11 fonts", "X11 fonts"),
        ("  two   words ", "two words"),
    ],
)
def test_section_numbers_are_told_from_titles(raw: str, name: str) -> None:
    assert without_number(raw) == name
