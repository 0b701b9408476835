"""Taking out of an answer what gives its arm away and says nothing of its worth: citations, lead-ins, formatting."""

from __future__ import annotations

import re

_SOURCE = r"(?:passages?|contexts?|documents?|excerpts?|texts?|sources?|(?:provided|given) information)"
# Finds [2], [1][3], (passage 2), [Passage 1]. A list of numbers, [1, 5], may be an interval: it stays.
_CITATION = re.compile(
    rf"\s*(?:\[(?:{_SOURCE}\s*)?\d{{1,2}}\]|\((?:see\s+)?{_SOURCE}\s*\[?\d{{1,2}}\]?\))", re.IGNORECASE
)
# Finds what an answer from passages begins with: According to the passages, / Based on passage [2],
_LEAD_IN = re.compile(
    rf"^\s*(?:according to|based (?:up)?on|as (?:stated|mentioned|described|noted|shown|given) in|from|in)\s+"
    rf"(?:the\s+|your\s+)?(?:provided\s+|given\s+|above\s+|retrieved\s+|following\s+)?{_SOURCE}"
    rf"(?:\s*\[?\d+\]?)?(?:\s+(?:above|below|provided|given))?\s*[,:]\s*",
    re.IGNORECASE,
)
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+", re.MULTILINE)
_BULLET = re.compile(r"^[^\S\n]*(?:[-*+•]|\d{1,2}[.)])[^\S\n]+", re.MULTILINE)
# Not double underscores: __init__ is a name.
_EMPHASIS = re.compile(r"(\*\*|`+)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_LABEL = re.compile(r"^\s*(?:the\s+)?answer\s*:\s*", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r"\n\s*\n+")


def blind(answer: str) -> str:
    """The answer as every arm could have written it.

    Taken out: markers of the passages that an arm was shown ("[2]"), lead-ins that speak of them ("According to the
    passages,"), a leading "Answer:", marks of headings, bullets and emphasis, and runs of spaces and empty lines. All
    arms' answers go through it, so that none gains by it. What remains is as the arm wrote it: no word is put in. An
    answer of which nothing would remain stays as it is.
    """
    text = _CITATION.sub("", answer)
    text = _LABEL.sub("", text)
    text = _LEAD_IN.sub("", text)
    text = _HEADING.sub("", text)
    # One such line is no list: "4. June", "- 5 °C".
    if len(_BULLET.findall(text)) > 1:
        text = _BULLET.sub("", text)
    text = _EMPHASIS.sub(r"\2", text)
    return _BREAKS.sub("\n", _SPACES.sub(" ", text)).strip() or answer.strip()
