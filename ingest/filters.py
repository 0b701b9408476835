"""Mechanical checks of generated questions and answers. Each says why an item is refused, or None."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from fourfold.ingest.filter_log import FilterLog
from fourfold.text import contains_run, squad_tokens

_FUNCTION_WORDS = frozenset(
    (  # noqa: SIM905 (a list of a hundred quoted words reads worse)
        "is are was were be been being of to in on at by for with and or not no it its this that these those as from "
        "into what which who whom whose when where how why do does did can could should must may might will would "
        "shall has have had if than then so such there their they them you your we our us i my he his she her if any "
        "all some each one also only more most very"
    ).split()
)
# Words that say nothing by themselves: an answer of these alone ("of course", "the above", "as follows", "see here") is
# none. "Never" and "daily" are answers.
_EMPTY_WORDS = frozenset(
    (  # noqa: SIM905 (as above)
        "above afterwards again almost already although another anyway aforementioned because below besides case "
        "cases certain certainly course details eg either else especially etc even example examples exactly fact "
        "follow following follows further furthermore generally given hence here however ie important indeed "
        "instead just kind later latter former like likewise manner many mentioned moreover much namely necessary "
        "neither nevertheless next note now often other others otherwise particular particularly perhaps please "
        "possible possibly previous probably provided quite rather really respectively same see several shown "
        "simply since somehow something still such therefore thing things though thus together too use used useful "
        "using usually various way ways well whatever whether within without yes yet"
    ).split()
)
_PARTS = (
    "(sentence|statement|passage|section|chapter|document|text|paragraph|page|table|figure|example|manual|appendix"
    "|screenshot|lesson|reference|list)s?"
)
_POINTING = re.compile(
    rf"\b(this|these|those|that|the|said|above|following|given) {_PARTS}\b"
    r"|^(what|who|where|when|which|how|why)( \w+)? (is|are|was|were|does|do|did) (it|they|this|that|these|those)\b"
    r"|^(is|are|was|were|does|do|did|can|could|should|must|may|might|will|would|has|have) "
    r"(it|they|he|she|this|that|these|those)\b",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    rf"\bthe {_PARTS} (above|below)\b"
    rf"|\b(this|these|the (above|following|previous|preceding|next|present)) {_PARTS}\b"
    r"|\bthe following\b|\bas follows\b"
    r"|\b(as )?(shown|described|mentioned|listed|noted|given|discussed|explained|see|seen) (above|below|earlier)\b"
    r"|\b(above|below)-mentioned\b|\baforementioned\b"
    rf"|\bshown (in|on) the {_PARTS}\b|\brefer to (appendix|section|chapter|lesson)\b"
    r"|\b(this|these) (points?|steps?|options?|procedures?)\b|\bsuch an? \w+\b|\bto do (this|so)\b",
    re.IGNORECASE,
)
# What such a sentence speaks of stands in the one before, or elsewhere.
_OPENING = re.compile(
    r"^(and|but|or|so|also|below|above|thus|it|its|they|their|them|this|these|those|that|he|she|his|her|such|otherwise|instead|"
    r"the (former|latter|same)|(in|for|to|with|of|by|on|from|at) (this|that|these|those|such|it|them)|if (so|not)|"
    r"doing (so|this)|(both|each|one|some|all|none) of (them|these|those)|(please )?(see|refer to|consult)|"
    r"(the|for|in|on) other|for (more|further|full) (details|information|instructions))\b",
    re.IGNORECASE,
)
_MIN_WORDS, _MAX_WORDS = 5, 30


def content_words(text: str) -> list[str]:
    """SQuAD tokens without function words."""
    return [token for token in squad_tokens(text) if token not in _FUNCTION_WORDS]


def points_elsewhere(sentence: str) -> bool:
    """Whether a sentence needs another one, or a place in its document, to be understood."""
    return _OPENING.search(sentence) is not None or _ELSEWHERE.search(sentence) is not None


def script_of(text: str) -> str | None:
    """The writing of most letters: the first word of their Unicode names, such as "LATIN"; None without a letter.

    Chinese characters and both Japanese syllabaries count as one. Of equal numbers the first met.
    """
    names = (unicodedata.name(letter, "?").split()[0] for letter in text if letter.isalpha())
    found = Counter("CJK" if name in {"CJK", "HIRAGANA", "KATAKANA"} else name for name in names)
    return found.most_common(1)[0][0] if found else None


def refuse_question(question: str, quote: str, log: FilterLog | None = None) -> str | None:
    """Why a question cannot be asked about a quote.

    It must be one question of 5 to 30 words that stands alone, in the quote's script, shares at least two content words
    with the quote, has no more new content words than shared ones, and does not give the quote away.

    Args:
        question: what was written.
        quote: the sentence that it is about.
        log: told of every check that the question reached.
    """
    tokens = [word.lower() for word in question.split()]
    in_quote, asked = set(content_words(quote)), set(content_words(question))
    refusals = {
        "not one question": not question.endswith("?") or question.count("?") != 1,
        "too short or too long": not _MIN_WORDS <= len(tokens) <= _MAX_WORDS,
        "does not stand alone": _POINTING.search(question) is not None or _ELSEWHERE.search(question) is not None,
        "in another script than its quote": script_of(question) != script_of(quote),
        "repeats itself": any(tokens[i : i + 3] == tokens[i + 3 : i + 6] for i in range(len(tokens) - 5)),
        "not about the quote": len(asked & in_quote) < 2,
        "brings in other matters": len(asked - in_quote) > len(asked & in_quote),
        "gives the answer away": len(in_quote - asked) < 2,
    }
    return (log or FilterLog()).first_refusal(refusals, question, prefix="question: ")


def refuse_reference(reference: str, question: str, quote: str, log: FilterLog | None = None) -> str | None:
    """Why a generated reference cannot be kept.

    It must stand in the quote word for word, and hold a number, a name or a word with a meaning of its own that the
    question does not hold.
    """
    words = content_words(reference)
    refusals = {
        "empty": not words,
        "not supported by the quote": any(word not in set(content_words(quote)) for word in words),
        "says nothing": set(words) <= _EMPTY_WORDS,
        "says what the question says": set(words) - _EMPTY_WORDS <= set(content_words(question)),
        "not verbatim": not contains_run(squad_tokens(quote), squad_tokens(reference)),
    }
    return (log or FilterLog()).first_refusal(refusals, reference, prefix="answer, quote used instead: ")
