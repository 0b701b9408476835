"""Reading some 3,000 pages: time in one process and in two, and whether memory stays flat.

    python benchmarks/ingest_scale.py FOLDER

FOLDER holds PDFs; meant is Debian's package texlive-humanities-doc, unpacked with `apt-get download
texlive-humanities-doc && dpkg-deb -x texlive-humanities-doc_*.deb FOLDER`. Appends to `ingest_scale.csv`:

    pages a second with one reader and with two, run in turn, and their ratio (target: at least 1.7 on two CPUs)
    peak memory of this process and its readers together, from /proc, sampled ten times a second (at most 2 GB)
    growth: the mean of that memory over the last fifth of the pages divided by the one over the second fifth
    one document of 1,000 pages, made by joining the folder's own: the peak of its reader (at most 600 MB)

Rereads the same bytes, so that the first run warms the disk's cache; it is not counted.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import pymupdf
from rows import append, measured

from fourfold.ingest.corpus import iter_corpus
from fourfold.ingest.listing import find_pdfs

N_RUNS = 3
LONG_PAGES = 1000


@dataclass
class Watch:
    """Memory of this process and its children while a folder is read, by the number of pages read."""

    n_pages: int = 0
    samples: list[tuple[int, int, int]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Sample until told to stop: pages read, bytes of all processes, bytes of the largest child."""
        while not self.stop.wait(0.1):
            own, *readers = [_resident(pid) for pid in (None, *_children())]
            self.samples.append((self.n_pages, own + sum(readers), max(readers, default=0)))


def _resident(pid: str | None) -> int:
    try:
        lines = Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def _children() -> list[str]:
    # Of the main thread: the readers are started from it.
    return Path("/proc/self/task", str(threading.main_thread().native_id), "children").read_text().split()


def read(folder: Path, n_workers: int) -> tuple[float, Watch]:
    """Seconds for one folder, and its memory."""
    watch = Watch()
    thread = threading.Thread(target=watch.run)
    thread.start()
    started = time.perf_counter()
    try:
        for _ in iter_corpus(folder, n_workers=n_workers, on_progress=lambda p: setattr(watch, "n_pages", p.n_pages)):
            pass
        return time.perf_counter() - started, watch
    finally:
        watch.stop.set()
        thread.join()


def growth(watch: Watch) -> float:
    """Memory over the last fifth of the pages divided by memory over the second fifth."""
    n = watch.n_pages
    early = [total for pages, total, _ in watch.samples if 0.2 * n <= pages < 0.4 * n]
    late = [total for pages, total, _ in watch.samples if 0.8 * n <= pages < n]
    return fmean(late) / fmean(early)


def long_document(source: Path, target: Path) -> None:
    """Join the folder's documents to one of LONG_PAGES pages."""
    with pymupdf.open() as long:
        for path in find_pdfs(source):
            with pymupdf.open(path) as part:
                if not part.needs_pass and part.page_count:
                    long.insert_pdf(part, to_page=min(part.page_count, LONG_PAGES - long.page_count) - 1)
            if long.page_count >= LONG_PAGES:
                break
        long.save(target)


def main(folder: Path) -> None:
    """Measure and append."""
    read(folder, 2)
    # In turn, so that what else the machine does falls on both.
    runs: dict[int, list[tuple[float, Watch]]] = {1: [], 2: []}
    for _ in range(N_RUNS):
        for n, some in runs.items():
            some.append(read(folder, n))
    n_pages = runs[1][0][1].n_pages
    shape = f"{len(find_pdfs(folder))} files, {n_pages} pages"
    op = "reading PDFs"
    rows = []
    for n, some in runs.items():
        mode = f"{n} reader{'s' * (n > 1)}"
        speeds = [n_pages / seconds for seconds, _ in some]
        peaks = [max(total for _, total, _ in watch.samples) / 1e6 for _, watch in some]
        named = {"op": op, "implementation": "fourfold", "mode": mode, "shape": shape}
        rows.append(measured(speeds, unit="pages/s", **named))
        rows.append(measured(peaks, unit="MB, all processes", **named))
        rows.append(measured([growth(watch) for _, watch in some], unit="late / early memory", **named))
    ratios = [one / two for (one, _), (two, _) in zip(runs[1], runs[2], strict=True)]
    rows.append(
        measured(ratios, op=op, implementation="fourfold", mode="2 / 1 readers", shape=shape, unit="times as fast")
    )
    with tempfile.TemporaryDirectory() as scratch:
        long_document(folder, Path(scratch) / "long.pdf")
        _, watch = read(Path(scratch), 1)
    peak = max(largest for _, _, largest in watch.samples) / 1e6
    shape = f"1 file, {watch.n_pages} pages"
    rows.append(measured([peak], op=op, implementation="fourfold", mode="1 reader", shape=shape, unit="MB, the reader"))
    for row in rows:
        print(f"{row.mode:15} {row.median:10.2f} {row.unit}  ({row.shape})")
    print(append("ingest_scale", rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
