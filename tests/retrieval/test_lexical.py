from __future__ import annotations

import dataclasses
import math
import shutil
from collections import Counter
from pathlib import Path

import pytest

from fourfold.errors import DocumentError
from fourfold.retrieval.lexical import LexicalIndex
from fourfold.types import Chunk

TEXTS = [
    "The pump runs at forty litres per minute.",
    "Valves: the inlet valve closes at noon, the outlet valve at night.",
    "A pump, a valve and a gauge.",
    "日本語 の 文章",
    "Nothing of the kind stands here, whatever one looks for in this rather long text.",
]


def chunks_of(*texts: str) -> list[Chunk]:
    return [
        Chunk(
            chunk_id=f"{position:024x}", doc_id="d", position=position, start=0, end=len(text), page_first=1,
            page_last=1, section=(), n_tokens=1, text=text,
        )
        for position, text in enumerate(texts)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("bm25") / "index"
    LexicalIndex.build(folder, chunks_of(*TEXTS))
    return LexicalIndex(folder, chunks_of(*TEXTS))


def search(index: LexicalIndex, query: str, limit: int = 5) -> list[int]:
    (found,) = index.search([query], limit)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    return [position for position, _ in found]


def test_chunks_are_found_by_position_best_first(index: LexicalIndex) -> None:
    assert search(index, "pump") == [2, 0]
    assert search(index, "Which VALVE closes at noon?") == [1, 2]
    assert search(index, "litres gauge pump") == [2, 0]


def test_the_order_is_that_of_bm25_worked_out(index: LexicalIndex) -> None:
    words = [
        "pump runs forty litres per minute", "valves inlet valve closes noon outlet valve night", "pump valve gauge",
        "日本語 文章", "nothing kind stands here whatever one looks rather long text",
    ]  # fmt: skip
    documents = [Counter(text.split()) for text in words]
    mean = sum(sum(document.values()) for document in documents) / len(documents)

    def score(document: Counter[str], query: list[str]) -> float:
        total = 0.0
        for word in query:
            n_with = sum(word in other for other in documents)
            idf = math.log(1 + (len(documents) - n_with + 0.5) / (n_with + 0.5))
            norm = 1.5 * (0.25 + 0.75 * sum(document.values()) / mean)
            total += idf * document[word] / (document[word] + norm)
        return total

    for query in (["pump", "valve"], ["valve", "night", "minute"], ["pump", "forty", "gauge"], ["text", "valve"]):
        scores = [score(document, query) for document in documents]
        best = sorted((position for position, value in enumerate(scores) if value > 0), key=lambda p: -scores[p])
        (found,) = index.search([" ".join(query)], 5)
        assert [position for position, _ in found] == best
        assert [value for _, value in found] == pytest.approx([scores[position] for position in best], rel=1e-5)


def test_chunks_without_a_word_of_the_query_are_left_out(index: LexicalIndex) -> None:
    assert search(index, "gauge") == [2]
    assert search(index, "zeppelin") == []


def test_the_limit_holds(index: LexicalIndex) -> None:
    assert search(index, "pump", limit=1) == [2]


@pytest.mark.parametrize("query", ["", " ", "?!", "the of and", "x", "\x00"])
def test_a_query_without_words_finds_nothing(index: LexicalIndex, query: str) -> None:
    assert search(index, query) == []


def test_queries_do_not_disturb_one_another(index: LexicalIndex) -> None:
    queries = ["", "pump", "zeppelin", "日本語", "valve " * 20_000]
    found = index.search(queries, 3)
    assert [[position for position, _ in own] for own in found] == [[], [2, 0], [], [3], [2, 1]]
    assert index.search([], 3) == []


def test_an_index_is_the_same_when_it_is_built_again(index: LexicalIndex, tmp_path: Path) -> None:
    LexicalIndex.build(tmp_path / "again", chunks_of(*TEXTS))
    again = LexicalIndex(tmp_path / "again", chunks_of(*TEXTS))
    queries = ["pump valve", "noon gauge litres"]
    assert again.search(queries, 5) == index.search(queries, 5)


def test_documents_without_any_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no words") as error:
        LexicalIndex.build(tmp_path / "empty", chunks_of("1", "a", "the"))
    assert "3 chunk(s)" in str(error.value.seen)
    LexicalIndex.build(tmp_path / "one", chunks_of("1", "pump", "the"))
    assert search(LexicalIndex(tmp_path / "one", chunks_of("1", "pump", "the")), "pump", 2) == [1]


def test_a_limit_over_the_number_of_chunks_is_no_error(index: LexicalIndex) -> None:
    assert search(index, "pump", limit=99) == [2, 0]


DAMAGE = {
    "cut short": lambda folder: _cut(folder / "data.csc.index.npy"),
    "one bit": lambda folder: _flip(folder / "indices.csc.index.npy"),
    "no vocabulary": lambda folder: (folder / "vocab.index.json").unlink(),
    "no digest": lambda folder: folder.with_name("i.sha256").unlink(),
    "gone": shutil.rmtree,
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_built_again_and_said(
    index: LexicalIndex, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    chunks = chunks_of(*TEXTS)
    LexicalIndex.build(tmp_path / "i", chunks)
    DAMAGE[damage](tmp_path / "i")
    mended = LexicalIndex(tmp_path / "i", chunks)
    assert mended.search(["pump valve noon"], 5) == index.search(["pump valve noon"], 5)
    assert "damaged or of other chunks: built again" in caplog.text
    caplog.clear()
    LexicalIndex(tmp_path / "i", chunks)
    assert caplog.text == ""


def test_an_index_of_other_chunks_is_not_taken_for_theirs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    LexicalIndex.build(tmp_path / "i", chunks_of("pump", "valve"))
    others = [dataclasses.replace(chunk, chunk_id="f" * 24) for chunk in chunks_of("gauge", "pump")]
    assert search(LexicalIndex(tmp_path / "i", others[:1] + chunks_of("gauge", "pump")[1:]), "pump") == [1]
    assert "built again" in caplog.text


def test_nothing_is_written_to_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    LexicalIndex.build(tmp_path / "i", chunks_of(*TEXTS))
    LexicalIndex(tmp_path / "i", chunks_of(*TEXTS)).search(["pump"], 2)
    assert capfd.readouterr() == ("", "")
