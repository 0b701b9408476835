from __future__ import annotations

from typing import TYPE_CHECKING

import pymupdf
import pytest
from support.pdfs import PROSE, Text, column, pdf_bytes
from support.transcribed import Rows, Transcribed, best_f1, cell_f1, markdown_tables, tables

from fourfold.ingest.pages import PageText, read_page
from fourfold.ingest.tables import Table, as_markdown, looks_ruled

if TYPE_CHECKING:
    from pathlib import Path

CELLS = (("Crop", "Yield", "Year"), ("Barley", "5.1", "2019"), ("Oats", "4.7", "2020"), ("Rye", "3.9", "2021"))


def read(data: bytes) -> PageText:
    with pymupdf.open(stream=data, filetype="pdf") as pdf:
        return read_page(pdf[0], number=1)


def found(page: PageText) -> list[Rows]:
    lines = [line for block in page.blocks for line in block if line.kind == "table"]
    return [rows for line in lines for rows in markdown_tables(line.text)]


def texts_outside(page: PageText) -> list[str]:
    return [line.text for block in page.blocks for line in block if line.kind != "table"]


def set_cells(cells: Rows, *, x: float = 72, y: float = 200, width: float = 90) -> list[Text]:
    return [Text(x + 4 + width * c, y + 14 + 20 * r, cell) for r, row in enumerate(cells) for c, cell in enumerate(row)]


def ruled(cells: Rows, *, rotation: int = 0, every_row: bool = True) -> bytes:
    """A drawn grid between two paragraphs; with `every_row` false a rule only under the first row and the last."""
    texts = [*column(72, 100, PROSE), *set_cells(cells), *column(72, 400, PROSE)]
    with pymupdf.open(stream=pdf_bytes([texts]), filetype="pdf") as pdf:
        page = pdf[0]
        n_rows, n_columns = len(cells), len(cells[0])
        for row in range(n_rows + 1) if every_row else (0, 1, n_rows):
            page.draw_line((72, 200 + 20 * row), (72 + 90 * n_columns, 200 + 20 * row))
        for at in range(n_columns + 1):
            page.draw_line((72 + 90 * at, 200), (72 + 90 * at, 200 + 20 * n_rows))
        page.set_rotation(rotation)
        data: bytes = pdf.tobytes()
        return data


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_drawn_grid_is_read_cell_by_cell(rotation: int) -> None:
    page = read(ruled(CELLS, rotation=rotation))
    assert found(page) == [CELLS]


def test_a_table_takes_the_place_of_its_text() -> None:
    page = read(ruled(CELLS))
    kinds = [block[0].kind for block in page.blocks]
    assert kinds == ["text", "table", "text"]
    assert texts_outside(page) == [*map(str.strip, PROSE), *map(str.strip, PROSE)]
    assert page.kept.share == 1


def test_rows_without_a_rule_between_them_are_told_by_their_base_lines() -> None:
    assert found(read(ruled(CELLS, every_row=False))) == [CELLS]


def test_a_cell_of_two_lines_stays_one_cell() -> None:
    texts = [*set_cells((("Crop", "Note"), ("Barley", "sown early"))), Text(166, 245, "and deep")]
    with pymupdf.open(stream=pdf_bytes([texts]), filetype="pdf") as pdf:
        for y in (200, 220, 250):
            pdf[0].draw_line((72, y), (252, y))
        for x in (72, 162, 252):
            pdf[0].draw_line((x, 200), (x, 250))
        assert found(read_page(pdf[0], number=1)) == [(("Crop", "Note"), ("Barley", "sown early and deep"))]


def test_rules_above_and_below_and_white_between_make_a_table() -> None:
    with pymupdf.open(stream=pdf_bytes([set_cells(CELLS)]), filetype="pdf") as pdf:
        for y in (200, 220, 280):
            pdf[0].draw_line((72, y), (342, y))
        assert found(read_page(pdf[0], number=1)) == [CELLS]


def test_aligned_rows_of_numbers_make_a_table_with_the_heading_above_them() -> None:
    page = read(pdf_bytes([[*column(72, 100, PROSE), *set_cells(CELLS)]]))
    assert found(page) == [CELLS]


def test_two_lines_of_a_listing_in_a_frame_are_no_table() -> None:
    listing = set_cells((("ispell", "-d", "american"), ("aspell", "-d", "english")))
    with pymupdf.open(stream=pdf_bytes([listing]), filetype="pdf") as pdf:
        for y in (200, 202, 240):
            pdf[0].draw_line((72, y), (342, y))
        assert found(read_page(pdf[0], number=1)) == []


@pytest.mark.parametrize(
    "texts",
    [
        [*column(72, 100, PROSE * 3), *column(320, 100, PROSE * 3)],
        [Text(72, 100 + 20 * at, f"{at}. Sowing . . . . . . . . . . . . . . {at + 3}") for at in range(6)],
        [*column(72, 100, ["Name:", "Street:", "Town:"]), *column(200, 100, ["Ada", "St James's", "London"])],
        [Text(72, 100, "10 20 30 40 50 60")],
    ],
    ids=["columns of prose", "contents", "labels", "one row"],
)
def test_what_only_looks_like_a_table_is_text(texts: list[Text]) -> None:
    assert found(read(pdf_bytes([texts]))) == []


def test_points_in_a_drawn_frame_are_no_table() -> None:
    assert found(read(ruled((("*", "* *", "*"), ("* *", "*", "* *"), ("0", "1", "2"))))) == []


def test_only_pages_with_rules_or_boxes_are_searched_for_grids() -> None:
    across = [("stroke-path", (0.0, y, 200.0, y + 1)) for y in (0.0, 20.0)]
    down = [("stroke-path", (x, 0.0, x + 1, 20.0)) for x in (0.0, 200.0)]
    assert looks_ruled([*across, *down])
    assert not looks_ruled(across)
    assert not looks_ruled([("fill-text", box) for _, box in (*across, *down)])
    assert not looks_ruled([("stroke-path", (float(at), 0.0, at + 50.0, 9.0)) for at in range(4000)])


def test_pipes_in_cells_are_escaped() -> None:
    table = Table(box=(0, 0, 1, 1), rows=(("a|b", "c"), ("1", "2")), lines=frozenset())
    assert as_markdown(table) == "| a\\|b | c |\n| --- | --- |\n| 1 | 2 |"


def test_the_score_of_cells_counts_what_is_wrong() -> None:
    assert cell_f1(CELLS, CELLS) == 1
    assert cell_f1(CELLS, CELLS[1:]) == pytest.approx(2 * 9 / (12 + 9))
    assert cell_f1(CELLS, tuple(("", *row) for row in CELLS)) == 1
    assert cell_f1(CELLS, (("Crop Yield Year",), ("Barley 5.1 2019",))) == 0
    assert best_f1(CELLS, []) == 0


@pytest.mark.parametrize("table", tables(), ids=lambda table: f"{table.file.split('/')[1][:12]} {table.page}")
def test_real_tables_agree_with_their_transcription(test_data: Path, table: Transcribed) -> None:
    with pymupdf.open(test_data / "pdf" / table.file) as pdf:
        page = read_page(pdf[table.page - 1], number=table.page)
    # The lowest is a scan whose own text layer misreads some digits.
    assert best_f1(table.rows, found(page)) >= 0.87
