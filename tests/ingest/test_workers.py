from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.pdfs import PROSE, QUICKSTART, column, pdf_bytes

from fourfold.errors import SystemFaultError
from fourfold.ingest import workers
from fourfold.ingest.corpus import read_corpus
from fourfold.ingest.pdf import doc_id_of
from fourfold.ingest.reader import FileTask, read_task
from fourfold.ingest.reading import DEFAULTS, ReadOptions
from fourfold.ingest.workers import default_workers, read_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fourfold.types import Block, Document

Read = dict[Path, tuple["Document", tuple["Block", ...]]]

# What a reader does with one file in place of reading it: the faults are real, the file that brings them is not.
_FAULTY = """
import os, signal, time
from fourfold.ingest import reader
real = reader.read_task
def read_task(task, options, on_page=None):
    if task.name == "b.pdf":
        {fault}
    return real(task, options, on_page)
reader.read_task = read_task
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for at, name in enumerate(("a.pdf", "b.pdf", "c.pdf", "d.pdf")):
        (tmp_path / name).write_bytes(pdf_bytes([column(72, 100, [*PROSE, name])] * (2 + at)))
    return tmp_path


def faulty(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    real = subprocess.Popen

    def popen(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        path, _, rest = command[3].partition("; ")
        before, _, serve = rest.partition("; from fourfold")
        code = "\n".join([path, before, _FAULTY.format(fault=fault), "from fourfold" + serve])
        return real([*command[:3], code], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(workers.subprocess, "Popen", popen)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the reader was ended by SIGSEGV"),
        ("os._exit(7)", "the reader was ended by exit status 7"),
        ("on_page(1, 3); os.abort()", "the reader was ended by SIGABRT after page 1 of 3"),
        ("time.sleep(100)", "gave no sign for 2 s (corpus.seconds_per_page)"),
        ("on_page(2, 3); time.sleep(100)", "gave no sign for 2 s (corpus.seconds_per_page) after page 2 of 3"),
        ("raise SystemExit(5)", "the reader was ended by exit status 5"),
    ],
    ids=["segfault", "exit", "abort", "hang", "hang after a page", "system exit"],
)
@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_crash_or_a_hang_costs_its_file_alone(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str, n_workers: int
) -> None:
    whole = read_corpus(corpus, n_workers=0)
    faulty(monkeypatch, fault)
    got = read_corpus(corpus, n_workers=n_workers, options=ReadOptions(seconds_per_page=2))
    assert [(d.name, d.reason) for d in got.documents] == [
        ("a.pdf", None), ("b.pdf", reason), ("c.pdf", None), ("d.pdf", None),
    ]  # fmt: skip
    lost = whole.documents[1].doc_id
    assert got.documents[1].doc_id == lost
    assert got.blocks == tuple(block for block in whole.blocks if block.doc_id != lost)


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_what_is_read_does_not_depend_on_the_number_of_readers(corpus: Path, n_workers: int) -> None:
    assert repr(read_corpus(corpus, n_workers=n_workers)) == repr(read_corpus(corpus, n_workers=0))


def test_the_quickstart_is_read_alike_by_two_readers_and_in_this_process(quickstart: Read) -> None:
    got = read_corpus(QUICKSTART, n_workers=2)
    assert got.documents == tuple(document for document, _ in quickstart.values())
    assert repr(got.blocks) == repr(tuple(block for _, blocks in quickstart.values() for block in blocks))


def test_real_files_are_read_alike_by_one_process_and_by_two(test_data: Path) -> None:
    folder = test_data / "pdf" / "difficult"
    assert repr(read_corpus(folder, n_workers=2)) == repr(read_corpus(folder, n_workers=0))


def test_a_fault_of_ours_is_the_reason_of_one_file(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise KeyError("oops")

    monkeypatch.setattr("fourfold.ingest.reader.parse_pdf", broken)
    data = (corpus / "a.pdf").read_bytes()
    task = FileTask(path=corpus / "a.pdf", name="a.pdf", doc_id=doc_id_of(data), n_bytes=len(data))
    assert read_task(task, DEFAULTS).document.reason == "our reader failed: KeyError: 'oops'"


def test_a_reader_that_does_not_start_is_an_error(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.sys, "path", ["/nowhere"])
    with pytest.raises(SystemFaultError, match="does not start"):
        read_corpus(corpus, n_workers=1)


def processes_below() -> set[str]:
    children = Path(f"/proc/self/task/{threading.main_thread().native_id}/children")
    if not children.is_file():
        pytest.skip("this system does not list a process' children")
    return set(children.read_text().split())


def test_no_reader_is_left_when_the_caller_stops_early(corpus: Path) -> None:
    before = processes_below()
    data = (corpus / "a.pdf").read_bytes()
    task = FileTask(path=corpus / "a.pdf", name="a.pdf", doc_id=doc_id_of(data), n_bytes=len(data))
    results: Iterator[object] = read_files([task] * 5, DEFAULTS, n_workers=2)
    next(results)
    assert len(processes_below() - before) == 2
    results.close()  # type: ignore[attr-defined]
    assert processes_below() == before


def test_a_caller_that_pauses_is_not_taken_for_a_hanging_reader(corpus: Path) -> None:
    tasks = []
    for path in sorted(corpus.glob("*.pdf")):
        data = path.read_bytes()
        tasks.append(FileTask(path=path, name=path.name, doc_id=doc_id_of(data), n_bytes=len(data)))
    statuses = []
    for done in read_files(tasks, ReadOptions(seconds_per_page=1), n_workers=2):
        time.sleep(1.5)
        statuses.append(done.document.status)
    assert statuses == ["read"] * 4


def test_a_script_without_a_guard_around_its_last_line_runs_once(corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom fourfold.ingest.corpus import read_corpus\nprint('once')\n"
        f"print(len(read_corpus(Path({str(corpus)!r}), n_workers=2).documents))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["once", "4"]
    assert done.stderr == ""


def test_readers_end_with_a_killed_caller(corpus: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from fourfold.ingest import corpus\n"
        f"for _ in corpus.iter_corpus(Path({str(corpus)!r}), n_workers=1):\n"
        "    print(open(f'/proc/self/task/{__import__(\"os\").getpid()}/children').read(), flush=True)\n"
        "    time.sleep(100)\n"
    )
    processes_below()  # skips where children are not listed
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        reader = int(caller.stdout.readline())
        caller.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not Path(f"/proc/{reader}").exists() or "Z" in Path(f"/proc/{reader}/stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    os.kill(reader, signal.SIGKILL)
    pytest.fail("the reader outlived its caller by ten seconds")


@pytest.mark.parametrize(
    ("n_files", "free", "cpus", "expected"),
    [(0, None, 4, 1), (1, None, 4, 1), (9, None, 4, 4), (9, 1_300_000_000, 4, 2), (9, 1, 4, 1)],
)
def test_as_many_readers_as_cpus_files_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, n_files: int, free: int | None, cpus: int, expected: int
) -> None:
    monkeypatch.setattr(workers, "_free_bytes", lambda: free)
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: set(range(cpus)))
    assert default_workers(n_files) == expected
