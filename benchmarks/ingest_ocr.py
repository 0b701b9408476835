"""Memory of reading scans by OCR: the peak of the reader and of the largest Tesseract process beside it.

    FOURFOLD_TEST_DATA=FOLDER python benchmarks/ingest_ocr.py

Reads the scans of `pdf/difficult` one after the other in this process, about two minutes. Both peaks are the kernel's
own (VmHWM in /proc), looked up twenty times a second; ru_maxrss of the children would be this process' size, which a
child has between fork and exec. Their sum bounds what one reader needs (target: 600 MB). Appends to `ingest_ocr.csv`.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from rows import append, measured

from fourfold.ingest.ocr import Ocr, find_tesseract
from fourfold.ingest.pdf import read_pdf
from fourfold.ingest.reading import ReadOptions

SCANS = ("ccitt.pdf", "linn.pdf", "skew.pdf", "scan-2dsoil-contents.pdf")
LIMIT_MB = 600


def main() -> None:
    """Read, append, and say whether the limit holds."""
    folder = Path(os.environ["FOURFOLD_TEST_DATA"]) / "pdf" / "difficult"
    options = ReadOptions(ocr=Ocr(mode="auto", tesseract=find_tesseract()))
    if options.ocr.missing:
        raise SystemExit(f"not installed: {options.ocr.missing}")
    stop, found = threading.Event(), [0.0]
    watch = threading.Thread(target=watch_tesseract, args=(stop, found))
    watch.start()
    documents = [read_pdf(path, options=options)[0] for path in sorted(folder.glob("*.pdf")) if path.name in SCANS]
    stop.set()
    watch.join()
    n_pages = sum(len(document.ocr) for document in documents)
    peaks = [peak_mb("self"), found[0]]
    shape = f"{n_pages} pages of {len(documents)} scans"
    append("ingest_ocr", [
        measured([peak], op="ocr", implementation=who, unit="MB, peak", shape=shape, mode="one process")
        for who, peak in zip(("fourfold", "tesseract"), peaks, strict=True)
    ])  # fmt: skip
    print(f"{shape}: reader {peaks[0]:.0f} MB, Tesseract {peaks[1]:.0f} MB, together at most {sum(peaks):.0f} MB")
    print("within the limit" if sum(peaks) <= LIMIT_MB else f"over the limit of {LIMIT_MB} MB")


def watch_tesseract(stop: threading.Event, found: list[float]) -> None:
    """Keep the highest peak of any process of that name, MB, until told to stop."""
    while not stop.wait(0.05):
        for comm in Path("/proc").glob("[0-9]*/comm"):
            try:
                if comm.read_text().strip() == "tesseract":
                    found[0] = max(found[0], peak_mb(comm.parent.name))
            except (FileNotFoundError, ProcessLookupError):
                continue


def peak_mb(pid: str) -> float:
    """The most memory that a process held; 0 for one that has ended."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


if __name__ == "__main__":
    main()
