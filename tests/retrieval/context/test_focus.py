from __future__ import annotations

import pytest
from support.passages import passages
from support.word_vectors import by_words

from fourfold.retrieval.context.focus import Focus, sentence_spans

WORDS = by_words("pump", "valve", "noon", "litres")
ASKED = {"q": "pump litres"}


def shown(n: int, *texts: str) -> list[str]:
    focus = Focus(embed_queries=WORDS, embed_sentences=WORDS, n_sentences=n)
    return [one.text for one in focus.narrow(ASKED, {"q": passages(*texts)})["q"]]


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        # Both words; then one of two, of which the first stands first.
        (1, ["The pump gives 40 litres."]),
        (2, ["The pump is old. … The pump gives 40 litres."]),
        (3, ["The pump is old. … The pump gives 40 litres.", "A pump, a valve."]),
        (99, ["The pump is old. It rests. The pump gives 40 litres.", "A pump, a valve. At noon!"]),
    ],
)
def test_only_the_nearest_sentences_stay_with_their_passage_and_in_its_order(n: int, expected: list[str]) -> None:
    assert shown(n, "The pump is old. It rests. The pump gives 40 litres.", "A pump, a valve. At noon!") == expected


def test_a_sentence_that_two_passages_share_is_shown_once() -> None:
    assert shown(2, "The pump.  Litres.", "Litres. The pump.") == ["The pump.  Litres."]


def test_a_question_without_passages_stays_without() -> None:
    focus = Focus(embed_queries=WORDS, embed_sentences=WORDS, n_sentences=2)
    assert focus.narrow({"a": "pump", "b": "valve"}, {"a": (), "b": passages("A valve.")}) == {
        "a": (),
        "b": passages("A valve."),
    }


def test_a_passage_keeps_its_chunk_and_its_span() -> None:
    (own,) = passages("The pump. Noon.")
    focus = Focus(embed_queries=WORDS, embed_sentences=WORDS, n_sentences=1)
    (found,) = focus.narrow(ASKED, {"q": (own,)})["q"]
    assert (found.chunk, found.start, found.end, found.text) == (own.chunk, own.start, own.end, "The pump.")


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("A heading\n\nText of 3.5 litres at 10:30.", ["A heading", "Text of 3.5 litres at 10:30."]),
        ("no end", ["no end"]),
        (" \n\n ", []),
        ("", []),
    ],
)
def test_sentences_end_at_stops_and_blank_lines(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences
