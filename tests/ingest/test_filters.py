from __future__ import annotations

import pytest

from fourfold.ingest.filter_log import FilterLog
from fourfold.ingest.filters import content_words, points_elsewhere, refuse_question, refuse_reference, script_of

QUOTE = "The chair of the committee is elected every two years by secret ballot."
QUESTION = "How often is the chair of the committee elected?"
FILLERS = "in on at by to for with from into or not than if so then such more most very any all some".split()  # noqa: SIM905


def test_content_words_are_squad_tokens_without_function_words() -> None:
    words = content_words("The chair of the read-only committee is elected; it's a TEST, two and two.")
    assert words == ["chair", "readonly", "committee", "elected", "test", "two", "two"]


@pytest.mark.parametrize(
    "question",
    [
        QUESTION,
        # As many new content words (often, resign) as shared ones.
        "How often must the chair of the committee resign?",
        # Leaves two words to be answered: secret, ballot.
        "Is the chair of the committee elected every two years?",
    ],
)
def test_a_question_about_the_quote_can_be_asked(question: str) -> None:
    assert refuse_question(question, QUOTE) is None


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("", "not one question"),
        ("How often the chair of the committee is elected.", "not one question"),
        ("Who elects the chair? Who elects the committee?", "not one question"),
        (f"{QUESTION} Every two years.", "not one question"),
        ("How often is this chair of the committee elected?", "does not stand alone"),
        ("How often does it elect the chair of a committee?", "does not stand alone"),
        ("What rule do these elect the chair of a committee by?", "does not stand alone"),
        ("According to the passage, how often is the chair of the committee elected?", "does not stand alone"),
        ("How often is the chair of the committee elected in The Above Section?", "does not stand alone"),
        ("Which of the following elects the chair of the committee?", "does not stand alone"),
        ("How is the chair of the committee elected as described above?", "does not stand alone"),
        ("Is it the chair of the committee that is elected?", "does not stand alone"),
        ("Can they elect the chair of the committee by ballot?", "does not stand alone"),
        ("Председатель комитета committee chair избирается тайным голосованием?", "in another script than its quote"),
        ("How often is the chair elected the chair elected of the committee?", "repeats itself"),
        ("How often does the committee of gardeners meet?", "not about the quote"),
        # Shared: chair, committee. New: often, inspect, gardens.
        ("How often does the chair of the committee inspect gardens?", "brings in other matters"),
        # Leaves one word: secret.
        ("Is the chair of the committee elected every two years by ballot?", "gives the answer away"),
    ],
)
def test_a_question_is_refused_for_the_reason(question: str, reason: str) -> None:
    assert refuse_question(question, QUOTE) == reason


@pytest.mark.parametrize(("n_words", "fits"), [(4, False), (5, True), (30, True), (31, False)])
def test_a_question_has_5_to_30_words(n_words: int, fits: bool) -> None:
    words = ["Is", "chair", "committee", *FILLERS, *"which whom whose when where why".split()][: n_words - 1]  # noqa: SIM905
    question = " ".join([*words, "elected?"])
    assert len(question.split()) == n_words
    assert refuse_question(question, QUOTE) == (None if fits else "too short or too long")


@pytest.mark.parametrize("reference", ["every two years", "Every two years.", "by secret ballot", "a secret ballot"])
def test_a_reference_that_stands_in_the_quote_is_kept(reference: str) -> None:
    assert refuse_reference(reference, QUESTION, QUOTE) is None


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("", "empty"),
        ("It is the.", "empty"),
        ("every three years", "not supported by the quote"),
        ("the chair is elected", "says what the question says"),
        ("years, two", "not verbatim"),
        ("years and secret ballot", "not verbatim"),
        ("every years", "not verbatim"),
    ],
)
def test_a_reference_is_refused_for_the_reason(reference: str, reason: str) -> None:
    assert refuse_reference(reference, QUESTION, QUOTE) == reason


@pytest.mark.parametrize(
    ("reference", "quote", "reason"),
    [
        ("of course", "The chair is, of course, elected by all members.", "says nothing"),
        ("below", "The members of the committee are listed below.", "says nothing"),
        ("as follows", "The chair of the committee is elected as follows.", "says nothing"),
        ("for example", "The chair may for example be elected by secret ballot.", "says nothing"),
        # An empty word beside words of the question is no more.
        ("the committee below", "The chair of the committee below is elected.", "says what the question says"),
        ("2", "The chair of the committee is elected 2 times.", None),
        ("never", "The chair of the committee is never elected.", None),
        ("daily", "The chair of the committee is elected daily.", None),
        ("for example by ballot", "The chair is elected for example by ballot.", None),
    ],
)
def test_a_reference_has_to_say_something(reference: str, quote: str, reason: str | None) -> None:
    assert refuse_reference(reference, QUESTION, quote) == reason


@pytest.mark.parametrize(
    "sentence",
    [
        "It must be closed.",
        "This is done at noon.",
        "Such valves leak.",
        "In that case the valve leaks.",
        "Both of them leak.",
        "Otherwise the valve leaks.",
        "The former is closed first.",
        "Valves leak as shown above.",
        "See Valves and Pumps.",
        "Please refer to Handling Valves.",
        "The table above lists valves.",
        "The valves are as follows.",
        "This document lists valves.",
        "The other two valves leak.",
        "Also, valves leak.",
        "Valves have to be closed to do so.",
        "Crews would accept such an update of the valves.",
        "Valves are closed as shown in the screenshot.",
        "Refer to Appendix C for valves.",
    ],
)
def test_a_sentence_that_points_elsewhere_does_not_stand_alone(sentence: str) -> None:
    assert points_elsewhere(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Itinerant crews close the valve.",
        "A table above the bench holds valves.",
        "The crew says that it leaks.",
        "Seeing is believing in the plant.",
        "Thistle grows on the dam.",
    ],
)
def test_a_sentence_that_stands_alone_is_left(sentence: str) -> None:
    assert not points_elsewhere(sentence)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("", None),
        ("12 %!", None),
        ("The pump", "LATIN"),
        ("насос pumps A", "LATIN"),
        ("насос и pump", "CYRILLIC"),
        ("ポンプは水を送る", "CJK"),
        ("المضخة", "ARABIC"),
    ],
)
def test_a_text_is_in_the_script_of_most_of_its_letters(text: str, script: str | None) -> None:
    assert script_of(text) == script


def test_every_check_that_a_question_reached_is_counted() -> None:
    log = FilterLog()
    refuse_question(QUESTION, QUOTE, log)
    refuse_question("Elected?", QUOTE, log)
    refuse_reference("every three years", QUESTION, QUOTE, log)
    counts = {count.name: (count.n_seen, count.n_dropped) for count in log.counts()}
    assert counts["question: not one question"] == (2, 0)
    assert counts["question: too short or too long"] == (2, 1)
    assert counts["question: gives the answer away"] == (1, 0)
    assert counts["answer, quote used instead: not supported by the quote"] == (1, 1)
    assert "answer, quote used instead: not verbatim" not in counts
