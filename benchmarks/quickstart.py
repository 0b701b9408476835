"""The quickstart as a newcomer runs it: time of each stage, peak memory, time of a second run and of --help.

    python benchmarks/quickstart.py [STUDY [section.key=value ...]]

Runs the study in an empty working folder with the converted weights already in the user's cache (the first run of all
converts them, 15 s more), then again, and appends rows to `quickstart.csv`. Peak memory is the largest resident set of
the run's process as the operating system accounts it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rows import Row, append, measured

ROOT = Path(__file__).parent.parent
FOURFOLD = Path(sys.executable).with_name("fourfold")
N_HELP = 9


def main(study: Path, overrides: Sequence[str]) -> None:
    """Measure one study."""
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(scratch) / "runs"
        first_s, peak_gb = run(study, overrides, runs)
        again_s, _ = run(study, overrides, runs)
        (folder,) = (path.parent for path in runs.glob("*/report.json"))
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    name, shape = report["study"], describe(report)

    def row(op: str, value: float, unit: str) -> Row:
        return measured([value], op=f"{name}: {op}", implementation="fourfold", unit=unit, shape=shape, dtype="bf16")

    rows = [row("whole run", first_s, "s"), row("peak memory", peak_gb, "GB"), row("second run", again_s, "s")]
    rows += [row(f"stage {stage['name']}", stage["seconds"], "s") for stage in report["stages"]]
    help_s = [timed([str(FOURFOLD), "--help"]) for _ in range(N_HELP)]
    rows.append(measured(help_s, op="fourfold --help", implementation="fourfold", unit="s", shape="whole process"))
    for shown in rows:
        print(f"{shown.op:32} {shown.median:9.2f} {shown.unit}")
    print(append("quickstart", rows))


def describe(report: dict[str, object]) -> str:
    """How much work the study was."""
    stages = {stage["name"]: stage["summary"] for stage in report["stages"]}  # type: ignore[index,attr-defined]
    return (
        f"{stages['ingest']['n_pages']} pages, {stages['questions']['n_test']} test and "
        f"{stages['questions']['n_tuning']} tuning questions, {stages['tune']['n_tokens']} trained tokens"
    )


def run(study: Path, overrides: Sequence[str], runs: Path) -> tuple[float, float]:
    """Seconds and peak resident gigabytes of one `fourfold run`."""
    started = time.perf_counter()
    command = [FOURFOLD, "run", str(study), *overrides, "--runs", str(runs)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    # wait4 gives this child's own peak; getrusage would give the largest of all children so far.
    watchdog = threading.Timer(3600, process.kill)
    watchdog.start()
    _, status, usage = os.wait4(process.pid, 0)
    watchdog.cancel()
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"fourfold run ended with {process.returncode}")
    return seconds, usage.ru_maxrss * 1024 / 1e9


def timed(command: list[str]) -> float:
    """Wall seconds of a command."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    quickstart = str(ROOT / "examples" / "quickstart" / "study.yaml")
    chosen, *changed = sys.argv[1:] or [quickstart]
    main(Path(chosen), changed)
