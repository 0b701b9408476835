from __future__ import annotations

import pytest

from fourfold.ingest.filters import content_words, refuse_question, refuse_reference

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
