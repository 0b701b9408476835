"""PDF to structured text: pages per second, characters kept, reading order and tables, beside pymupdf4llm.

    FOURFOLD_TEST_DATA=FOLDER python benchmarks/ingest.py [EVERY]

Reads the 12 PDFs of `pdf/agriculture` (509 pages) in one process, tables on, then every EVERYth page of each (default
20) with ours and with pymupdf4llm as it comes, in turn and in this one run; the ratio is over those pages, in CPU time,
because a shared machine's wall time is other people's. Characters kept are counted against `Page.get_text` of the same
page, not against our own record. Tables and reading order are those transcribed in `tests/ingest/fixtures`. Appends to
`ingest.csv` and prints each target that is missed. pymupdf4llm is no dependency: without it its rows are left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pymupdf
from rows import Row, append, measured

from fourfold.ingest.furniture import strip_furniture
from fourfold.ingest.kept import compare
from fourfold.ingest.pages import read_page
from fourfold.ingest.pdf import read_pdf

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.transcribed import best_f1, markdown_tables, paragraph_starts, share_in_order, tables

RIVAL = "pymupdf4llm"


def main(every: int) -> None:
    """Measure, append, and say what is missed."""
    folder = Path(os.environ["FOURFOLD_TEST_DATA"]) / "pdf"
    paths = sorted((folder / "agriculture").glob("*.pdf"))
    rows = [*whole_files(paths), kept(paths), order(folder)]
    ours = [sum(seconds) for seconds in zip(*(sampled(path, every) for path in paths), strict=True)]
    rows += [f1_row("fourfold", table_scores(folder))]
    misses = []
    if find_spec(RIVAL):
        rival, n_pages = rival_seconds(paths, every)
        shape = f"{n_pages} pages, every {every}th of 12 files"
        rows.append(row([n_pages / ours[0]], "fourfold", "pages/s, sample", shape))
        rows.append(row([n_pages / rival], RIVAL, "pages/s, sample", shape))
        rows.append(row([rival / ours[0]], "fourfold", f"times {RIVAL}", shape))
        rows.append(f1_row(RIVAL, rival_scores(folder)))
        misses += [f"only {rival / ours[0]:.1f} times {RIVAL}, target 10"] if rival / ours[0] < 10 else []
    targets = {"pages/s": 20.0, "characters kept": 0.99, "paragraphs in order": 0.95, "cell F1": 0.9}
    for one in rows:
        if one.implementation == "fourfold" and one.median < targets.get(one.unit, 0.0):
            misses.append(f"{one.op}: {one.median} {one.unit}, target {targets[one.unit]}")
    append("ingest", rows)
    for one in rows:
        print(one.implementation, one.shape, one.median, one.unit)
    print("\n".join(misses) or "every target met")


def row(values: list[float], implementation: str, unit: str, shape: str) -> Row:
    """One figure of one reader."""
    return measured(values, op="ingest", implementation=implementation, unit=unit, shape=shape, mode="one process")


def whole_files(paths: list[Path]) -> list[Row]:
    """Pages a second from file to blocks, in CPU and in wall time."""
    cpu, wall = time.process_time(), time.perf_counter()
    n_pages = sum(read_pdf(path)[0].n_pages for path in paths)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    shape = f"{n_pages} pages, 12 files"
    return [
        row([n_pages / cpu], "fourfold", "pages/s", shape),
        row([n_pages / wall], "fourfold", "pages/s, wall", shape),
    ]


def kept(paths: list[Path]) -> Row:
    """Characters in the blocks, and in the furniture, over MuPDF's."""
    n_raw = n_kept = n_gone = 0
    for path in paths:
        with pymupdf.open(path) as pdf:
            pages = [read_page(page, number=number) for number, page in enumerate(pdf, start=1)]
            stripped, n_furniture = strip_furniture(pages)
            n_gone += n_furniture
            for page, after in zip(pdf, stripped, strict=True):
                found = compare([page.get_text(flags=0)], (line.text for block in after.blocks for line in block))
                n_raw, n_kept = n_raw + found.n_raw, n_kept + found.n_kept
    shape = f"{n_raw} characters, {n_gone} of them furniture"
    return row([n_kept / (n_raw - n_gone)], "fourfold", "characters kept", shape)


def order(folder: Path) -> Row:
    """The share of the transcribed paragraph starts that come in order."""
    starts = paragraph_starts()
    n_in_order = 0.0
    for name, some in starts.items():
        _, blocks = read_pdf(folder / "difficult" / name)
        n_in_order += len(some) * share_in_order(some, "\n\n".join(block.text for block in blocks))
    n = sum(map(len, starts.values()))
    return row([n_in_order / n], "fourfold", "paragraphs in order", f"{n} paragraph starts, {len(starts)} files")


def f1_row(implementation: str, scores: list[float]) -> Row:
    """Cell F1, its mean in place of the median: one table that fails shows."""
    mean = sum(scores) / len(scores)
    print(implementation, "cell F1 by table:", [round(score, 3) for score in scores], file=sys.stderr)
    return row([mean], implementation, "cell F1", f"mean of {len(scores)} transcribed tables, lowest {min(scores):.2f}")


def sampled(path: Path, every: int) -> tuple[float, int]:
    """CPU seconds and number of the sampled pages."""
    with pymupdf.open(path) as pdf:
        numbers = range(0, pdf.page_count, every)
        start = time.process_time()
        strip_furniture([read_page(pdf[number], number=number + 1) for number in numbers])
        return time.process_time() - start, len(numbers)


def table_scores(folder: Path) -> list[float]:
    """Our cell F1 per transcribed table."""
    scores = []
    for table in tables():
        with pymupdf.open(folder / table.file) as pdf:
            page = read_page(pdf[table.page - 1], number=table.page)
        text = "\n\n".join(line.text for block in page.blocks for line in block if line.kind == "table")
        scores.append(best_f1(table.rows, markdown_tables(text)))
    return scores


# In a process of its own: importing pymupdf4llm changes what PyMuPDF does for everyone.
_RIVAL = """
import sys, time, pymupdf, pymupdf4llm
path, *numbers = sys.argv[1:]
pymupdf4llm.to_markdown(path, pages=[int(numbers[0])])
start = time.process_time()
text = pymupdf4llm.to_markdown(path, pages=list(map(int, numbers)))
print("\\nCPU SECONDS", time.process_time() - start)
print(text)
"""


def rival(path: Path, numbers: list[int]) -> tuple[float, str]:
    """CPU seconds (its models loaded, one thread) and Markdown of some pages, counted from 0."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [sys.executable, "-c", _RIVAL, str(path), *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, check=True, text=True, env={**os.environ, **threads})
    _, seconds, text = re.split(r"\nCPU SECONDS ([\d.]+)\n", done.stdout, maxsplit=1)
    return float(seconds), text


def rival_seconds(paths: list[Path], every: int) -> tuple[float, int]:
    """CPU seconds and number of the sampled pages."""
    seconds, n_pages = 0.0, 0
    for path in paths:
        with pymupdf.open(path) as pdf:
            numbers = list(range(0, pdf.page_count, every))
        seconds += rival(path, numbers)[0]
        n_pages += len(numbers)
        print(f"{RIVAL}: {n_pages} pages in {seconds:.0f} s", file=sys.stderr, flush=True)
    return seconds, n_pages


def rival_scores(folder: Path) -> list[float]:
    """The rival's cell F1 per transcribed table."""
    return [best_f1(table.rows, markdown_tables(rival(folder / table.file, [table.page - 1])[1])) for table in tables()]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
