from __future__ import annotations

from support.passages import chunk_at, count_words
from support.word_vectors import by_words

from fourfold.retrieval.context.assembly import Assembly, Budget
from fourfold.retrieval.context.focus import Focus
from fourfold.retrieval.context.passage import texts_of
from fourfold.retrieval.context.section import SectionExpansion, by_section
from fourfold.types import Retrieved

TEXT = "Pump one. Rest.\n\nValve two. Rest.\n\nPump litres three. Rest."
CHUNKS = [chunk_at(TEXT, span, section=(name,)) for name, span in (("a", (0, 15)), ("a", (17, 33)), ("b", (35, 59)))]
BY_ID = {chunk.chunk_id: chunk for chunk in CHUNKS}
WORDS = by_words("pump", "litres")


def rows(*places: int, name: str = "q") -> list[Retrieved]:
    return [
        Retrieved(
            question_id=name, rank=rank, chunk_id=CHUNKS[at].chunk_id, score=1 / rank, dense_rank=None, bm25_rank=None
        )
        for rank, at in enumerate(places, start=1)
    ]


def texts(assembly: Assembly, *places: int) -> list[str]:
    return texts_of(assembly.assemble(rows(*places)[::-1], [("q", "pump litres")]), if_none="none")["q"]


def test_with_nothing_switched_on_the_chunks_are_shown_in_rank_order() -> None:
    assert texts(Assembly(chunks=BY_ID), 2, 0) == [CHUNKS[2].text, CHUNKS[0].text]


def test_best_last_turns_the_order_round_and_the_numbers_with_it() -> None:
    found = Assembly(chunks=BY_ID, order="best_last").assemble(rows(2, 0, 1), [("q", "pump")])
    assert [one.chunk for one in found["q"]] == [CHUNKS[1], CHUNKS[0], CHUNKS[2]]


def test_the_best_passages_are_kept_and_only_then_turned_round() -> None:
    assembly = Assembly(chunks=BY_ID, budget=Budget(count_tokens=count_words, max_tokens=7), order="best_last")
    assert texts(assembly, 2, 0, 1) == [CHUNKS[0].text, CHUNKS[2].text]


def test_a_section_is_fetched_before_its_sentences_are_chosen() -> None:
    section = SectionExpansion(siblings=by_section(CHUNKS), texts={"d": TEXT}, count_tokens=count_words, max_tokens=99)
    focus = Focus(embed_queries=WORDS, embed_sentences=WORDS, n_sentences=2)
    # The first sentence stands in the chunk's neighbour.
    assert texts(Assembly(chunks=BY_ID, section=section, focus=focus), 1, 2) == ["Pump one.", "Pump litres three."]
    assert texts(Assembly(chunks=BY_ID, focus=focus), 1, 2) == ["Valve two.", "Pump litres three."]


def test_a_question_without_rows_says_what_stands_in_their_place() -> None:
    found = Assembly(chunks=BY_ID).assemble(rows(0), [("q", "pump"), ("r", "valve")])
    assert texts_of(found, if_none="nothing") == {"q": [CHUNKS[0].text], "r": ["nothing"]}
