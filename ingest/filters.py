"""Mechanical checks of generated questions and answers. Each says why an item is refused, or None."""

from __future__ import annotations

import re

from fourfold.text import contains_run, squad_tokens

_FUNCTION_WORDS = frozenset(
    (  # noqa: SIM905 (a list of a hundred quoted words reads worse)
        "is are was were be been being of to in on at by for with and or not no it its this that these those as from "
        "into what which who whom whose when where how why do does did can could should must may might will would "
        "shall has have had if than then so such there their they them you your we our us i my he his she her if any "
        "all some each one also only more most very"
    ).split()
)
_POINTING = re.compile(
    r"\b(this|these|those|that|the|said|above|following|given) "
    r"(sentence|statement|passage|section|document|text|paragraph|page|table|figure|manual)s?\b"
    r"|^(what|who|where|when|which|how|why)( \w+)? (is|are|was|were|does|do|did) (it|they|this|that|these|those)\b",
    re.IGNORECASE,
)
_MIN_WORDS, _MAX_WORDS = 5, 30


def content_words(text: str) -> list[str]:
    """SQuAD tokens without function words."""
    return [token for token in squad_tokens(text) if token not in _FUNCTION_WORDS]


def refuse_question(question: str, quote: str) -> str | None:
    """Why a question cannot be asked about a quote.

    It must be one question of 5 to 30 words that stands alone, shares at least two content words with the quote, has
    no more new content words than shared ones, and does not give the quote away.
    """
    tokens = [word.lower() for word in question.split()]
    in_quote, asked = set(content_words(quote)), set(content_words(question))
    refusals = {
        "not one question": not question.endswith("?") or question.count("?") != 1,
        "too short or too long": not _MIN_WORDS <= len(tokens) <= _MAX_WORDS,
        "does not stand alone": _POINTING.search(question) is not None,
        "repeats itself": any(tokens[i : i + 3] == tokens[i + 3 : i + 6] for i in range(len(tokens) - 5)),
        "not about the quote": len(asked & in_quote) < 2,
        "brings in other matters": len(asked - in_quote) > len(asked & in_quote),
        "gives the answer away": len(in_quote - asked) < 2,
    }
    return next((reason for reason, refused in refusals.items() if refused), None)


def refuse_reference(reference: str, question: str, quote: str) -> str | None:
    """Why a generated reference cannot be kept.

    It must stand in the quote word for word, and say something that the question does not.
    """
    words = content_words(reference)
    if not words:
        return "empty"
    if any(word not in set(content_words(quote)) for word in words):
        return "not supported by the quote"
    if set(words) <= set(content_words(question)):
        return "says what the question says"
    if not contains_run(squad_tokens(quote), squad_tokens(reference)):
        return "not verbatim"
    return None
