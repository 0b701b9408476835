from __future__ import annotations

import datetime as dt
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fourfold.errors import FairnessError, InputError, StoreError
from fourfold.retrieval.modules.knowledge import Knowledge, knowledge_of, title_of
from fourfold.retrieval.modules.memory_file import VERSION, MemoryFile
from fourfold.retrieval.modules.profile import Profile
from fourfold.retrieval.modules.reservoir import Reservoir
from fourfold.types import Chunk

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def item(chunk_id: str, title: str = "Pumps", *, doc_id: str = "d", text: str = "It runs.") -> Knowledge:
    return Knowledge(title=title, text=text, chunk_id=chunk_id, doc_id=doc_id, source="pump.pdf")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[MemoryFile]:
    with MemoryFile.open(tmp_path / "memory.db") as opened:
        yield opened


def ids(reservoir: Reservoir) -> list[str]:
    return [held.chunk_id for held in reservoir.items()]


def test_what_was_kept_survives_a_restart_with_source_and_date(tmp_path: Path) -> None:
    path = tmp_path / "new" / "memory.db"
    with MemoryFile.open(path) as first:
        Reservoir(first).add([item("a"), item("b", "Valves")], now=NOW)
    with MemoryFile.open(path) as second:
        reservoir = Reservoir(second)
        assert reservoir.titles() == ("Pumps", "Valves")
        (held,) = reservoir.read(["Pumps", "nobody's"])["Pumps"]
    assert held == Knowledge(
        title="Pumps", text="It runs.", chunk_id="a", doc_id="d", source="pump.pdf", date="2026-01-02T03:04:05+00:00"
    )


def test_a_passage_stands_there_once_under_its_latest_title_and_text(file: MemoryFile) -> None:
    reservoir = Reservoir(file)
    reservoir.add([item("a")], now=NOW)
    reservoir.add([item("a", "Boilers", text="It boils.")], now=NOW)
    assert [(held.title, held.text) for held in reservoir.items()] == [("Boilers", "It boils.")]


def test_beyond_capacity_the_least_recently_used_goes(file: MemoryFile) -> None:
    reservoir = Reservoir(file, capacity=2)
    assert reservoir.add([item("a", "A")], now=NOW) == 0
    assert reservoir.add([item("b", "B")], now=NOW) == 0
    reservoir.read(["A"])
    assert reservoir.add([item("c", "C")], now=NOW) == 1
    assert ids(reservoir) == ["a", "c"]


def test_more_than_fits_at_once_is_cut_to_the_capacity(file: MemoryFile) -> None:
    reservoir = Reservoir(file, capacity=2)
    assert reservoir.add([item(name) for name in "abcd"], now=NOW) == 2
    assert ids(reservoir) == ["a", "b"]


def test_owners_neither_see_nor_evict_nor_delete_each_others(file: MemoryFile) -> None:
    ada, bob = Reservoir(file, owner="ada", capacity=1), Reservoir(file, owner="bob", capacity=1)
    ada.add([item("a")], now=NOW)
    bob.add([item("a"), item("b")], now=NOW)
    assert (ids(ada), len(ids(bob))) == (["a"], 1)
    assert bob.delete() == 1
    assert (ids(ada), ids(bob)) == (["a"], [])


def test_a_title_or_everything_can_be_deleted(file: MemoryFile) -> None:
    reservoir = Reservoir(file)
    reservoir.add([item("a", "A"), item("b", "B"), item("c", "B")], now=NOW)
    assert reservoir.delete(title="B") == 2
    assert ids(reservoir) == ["a"]
    assert reservoir.delete() == 1
    assert reservoir.titles() == ()


def test_knowledge_goes_where_its_source_changed(file: MemoryFile) -> None:
    reservoir = Reservoir(file)
    reservoir.add([item("a", doc_id="d"), item("b", doc_id="d"), item("c", doc_id="gone")], now=NOW)
    assert reservoir.invalidate({"d": {"a", "new"}, "e": {"c"}}) == 2
    assert ids(reservoir) == ["a"]


def test_a_frozen_memory_takes_nothing_and_is_one_file(file: MemoryFile) -> None:
    reservoir = Reservoir(file, capacity=2)
    reservoir.add([item("a")], now=NOW)
    digest = file.freeze()
    for change in (
        lambda: reservoir.add([item("b")], now=NOW), reservoir.delete, lambda: reservoir.invalidate({}), file.freeze,
        lambda: Profile(file, owner="ada").add(["fact"], now=NOW),
    ):  # fmt: skip
        with pytest.raises(StoreError, match="frozen"):
            change()
    assert list(reservoir.read(["Pumps"])) == ["Pumps"]
    assert [path.name for path in file.path.parent.iterdir()] == ["memory.db"]
    file.require_frozen(digest)


@pytest.mark.parametrize(
    "changed", [item("b"), item("a", text="Other."), item("a", title="Other"), item("a", doc_id="e")]
)
def test_the_digest_is_of_the_content(tmp_path: Path, changed: Knowledge) -> None:
    digests = []
    for name, held, now in (("1", item("a"), NOW), ("2", item("a"), NOW.replace(year=2027)), ("3", changed, NOW)):
        with MemoryFile.open(tmp_path / name) as file:
            Reservoir(file).add([held], now=now)
            digests.append(file.freeze())
    assert digests[0] == digests[1] != digests[2]


def test_a_memory_changed_behind_the_freeze_is_refused(file: MemoryFile) -> None:
    Reservoir(file).add([item("a")], now=NOW)
    digest = file.freeze()
    file.db.execute("UPDATE knowledge SET text = 'Other.'")
    with pytest.raises(FairnessError, match="not the one that was frozen"):
        file.require_frozen(digest)


def test_a_memory_that_was_never_frozen_is_refused(file: MemoryFile) -> None:
    with pytest.raises(FairnessError, match="frozen under None"):
        file.require_frozen(file.digest())


def test_a_newer_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryFile.open(path) as file, file.writing() as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'version'", (str(VERSION + 1),))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"version {VERSION + 1}[\s\S]*expected: version {VERSION}, "):
        MemoryFile.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"This is no database, but a text of some length. " * 40, None])
def test_a_file_that_is_no_memory_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "memory.db"
    if content is None:
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE songs (title)")
        other.close()
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match="memory"):
        MemoryFile.open(path)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot be opened"):
        MemoryFile.open(tmp_path / "taken" / "memory.db")


@pytest.mark.parametrize(("owner", "capacity"), [("", 1), ("ada", 0)])
def test_no_owner_or_no_room_is_an_error(file: MemoryFile, owner: str, capacity: int) -> None:
    with pytest.raises(InputError, match="no place for knowledge"):
        Reservoir(file, owner=owner, capacity=capacity)


_WRITER = """
import datetime as dt, sys
from pathlib import Path
from fourfold.retrieval.modules.knowledge import Knowledge
from fourfold.retrieval.modules.memory_file import MemoryFile
from fourfold.retrieval.modules.reservoir import Reservoir
name = sys.argv[2]
with MemoryFile.open(Path(sys.argv[1])) as file:
    reservoir = Reservoir(file)
    for at in range(60):
        held = Knowledge(title=f"T{at % 5}", text=name, chunk_id=f"{name}{at}", doc_id="d", source="s")
        reservoir.add([held], now=dt.datetime.now(dt.UTC))
        reservoir.read([f"T{at % 5}"])
"""


def test_two_processes_lose_nothing_of_each_others(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    running = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), name], stderr=subprocess.PIPE) for name in "ab"
    ]
    complaints = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], complaints
    with MemoryFile.open(path) as file:
        reservoir = Reservoir(file)
        assert sorted(ids(reservoir)) == sorted(f"{name}{at}" for name in "ab" for at in range(60))
        (clock,) = file.db.execute("SELECT value FROM meta WHERE key = 'clock'").fetchone()
    # Every addition and every reading was a use of its own.
    assert int(clock) == 240


def chunk(
    *section: str, text: str = "one two three four five six seven eight nine ten eleven twelve thirteen"
) -> Chunk:
    return Chunk(
        chunk_id="c", doc_id="d", position=0, start=0, end=9, page_first=1, page_last=1, section=section, n_tokens=1,
        text=text,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("section", "document", "title"),
    [
        (("2 Upkeep", "2.1 Pumps"), "Plant manual", "Plant manual › 2 Upkeep › 2.1 Pumps"),
        ((), "Plant manual", "Plant manual"),
        ((), "", "one two three four five six seven eight nine ten eleven twelve"),
    ],
)
def test_a_title_is_the_section_path_or_the_first_twelve_words(
    section: tuple[str, ...], document: str, title: str
) -> None:
    assert title_of(chunk(*section), document) == title
    assert knowledge_of(chunk(*section), document=document, source="m.pdf").title == title
