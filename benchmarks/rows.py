"""Benchmark rows: appended to a CSV in this folder, never rewritten; each figure keeps its machine and commit."""

from __future__ import annotations

import csv
import dataclasses
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from fourfold.app.provenance import provenance

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure.

    `shape` says how much work it was; `n` how many times it was measured; p20 and p80 equal the median for n = 1.
    """

    op: str
    implementation: str
    mode: str
    shape: str
    dtype: str
    median: float
    p20: float
    p80: float
    unit: str
    n: int
    device: str
    commit: str
    versions: str


def measured(  # noqa: PLR0913 (the columns of a row)
    values: Sequence[float], *, op: str, implementation: str, unit: str, shape: str, mode: str = "", dtype: str = ""
) -> Row:
    """A row from repeated measurements of one thing on this machine."""
    ends = quantiles(values, n=5, method="inclusive") if len(values) > 1 else [values[0]] * 4
    made = provenance()
    return Row(
        op=op,
        implementation=implementation,
        mode=mode,
        shape=shape,
        dtype=dtype,
        median=round(median(values), 4),
        p20=round(ends[0], 4),
        p80=round(ends[3], 4),
        unit=unit,
        n=len(values),
        device=f"{platform.machine()} CPU, {os.cpu_count()} cores",
        commit=made["commit"] or "none",
        versions=" ".join(f"{name}={version}" for name, version in made["packages"].items()),
    )


def append(name: str, rows: Sequence[Row]) -> Path:
    """Append rows to `benchmarks/NAME.csv`; a new file gets its heading."""
    path = FOLDER / f"{name}.csv"
    names = [field.name for field in dataclasses.fields(Row)]
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)
    return path
