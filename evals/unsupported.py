"""Figures, units and names of an answer that none of its sources holds: what was probably made up, found mechanically.

A finding is a place for a person to look at, no verdict: a figure may follow from two others, a name may be common
knowledge. A claim with no figure and no name is not looked at; `evals.groundedness` rates those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Kind = Literal["figure", "unit", "name"]

# Groups of three after a comma, stop, apostrophe or narrow space belong to one number.
_NUMBER = re.compile(r"\d+(?:[.,'’\u00a0\u202f]\d{3}(?!\d))*(?:[.,]\d+)?")
_UP_TO_TWENTY = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_TENS = ("thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBER_WORDS = {word: Decimal(number) for number, word in enumerate(_UP_TO_TWENTY)} | {
    word: Decimal(10 * number) for number, word in enumerate(_TENS, start=3)
}
_SPELLINGS = {
    "%": ("%", "percent", "per cent"),
    "$": ("$", "usd", "dollar", "dollars"),
    "€": ("€", "eur", "euro", "euros"),
    "£": ("£", "gbp", "pound sterling", "pounds sterling"),
    "°C": ("°c", "degrees celsius", "celsius"),
    "°F": ("°f", "degrees fahrenheit", "fahrenheit"),
    "mm": ("mm", "millimetre", "millimetres", "millimeter", "millimeters"),
    "cm": ("cm", "centimetre", "centimetres", "centimeter", "centimeters"),
    "m": ("m", "metre", "metres", "meter", "meters"),
    "km": ("km", "kilometre", "kilometres", "kilometer", "kilometers"),
    "in": ("inch", "inches"),
    "ft": ("ft", "foot", "feet"),
    "mi": ("mile", "miles"),
    "g": ("g", "gram", "grams", "gramme", "grammes"),
    "kg": ("kg", "kilogram", "kilograms", "kilo", "kilos"),
    "t": ("t", "ton", "tons", "tonne", "tonnes"),
    "lb": ("lb", "lbs", "pound", "pounds"),
    "ml": ("ml", "millilitre", "millilitres", "milliliter", "milliliters"),
    "l": ("l", "litre", "litres", "liter", "liters"),
    "gal": ("gal", "gallon", "gallons"),
    "ha": ("ha", "hectare", "hectares"),
    "ac": ("acre", "acres"),
    "s": ("s", "second", "seconds"),
    "min": ("min", "minute", "minutes"),
    "h": ("h", "hour", "hours"),
    "d": ("day", "days"),
    "wk": ("week", "weeks"),
    "mo": ("month", "months"),
    "a": ("year", "years"),
    "B": ("byte", "bytes"),
    "kB": ("kb", "kilobyte", "kilobytes"),
    "MB": ("mb", "megabyte", "megabytes"),
    "GB": ("gb", "gigabyte", "gigabytes"),
    "W": ("w", "watt", "watts"),
    "kW": ("kw", "kilowatt", "kilowatts"),
    "V": ("v", "volt", "volts"),
    "Hz": ("hz", "hertz"),
}
_UNITS = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
_UNIT_AFTER = re.compile(
    r"[ \t\u00a0\u202f-]?(" + "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True)) + r")(?![^\W\d_])",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_SENTENCE_END = frozenset(".!?:;…\n\r")
# What may stand between a sentence's end and the next one's first word.
_BEFORE_SENTENCE = frozenset(" \t\u00a0\"'“”‘’«»„([*•-–—")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """Something at `[start, end)` of the answer that no source holds, as it stands there.

    A "unit" is a figure that some source holds, but none with this unit.
    """

    kind: Kind
    text: str
    start: int
    end: int


def find_unsupported(answer: str, sources: Sequence[str]) -> tuple[Unsupported, ...]:
    """What of the answer's figures, units and names no source holds, in the answer's order.

    - A figure is a number in digits; it is held where a source has the same number, however grouped ("1,000", "1000",
      "1.000") or, up to twenty and in tens, as an English word. A number that can be read two ways is held by either.
    - A unit is one of a table of common ones after a figure, in any of its English spellings.
    - A name is a capitalised word that begins no sentence, or a word with two capitals, or with a digit after its first
      letter. Scripts without capitals have none; in German every noun is one.

    Args:
        answer: the answer's text.
        sources: contexts and reference, and the question, which an answer may repeat.
    """
    words = {word.casefold() for text in sources for word in _WORD.findall(text)}
    # Each number with the units it is written with; a number in words is taken to be written without one.
    figures = {_NUMBER_WORDS[word]: {""} for word in words & _NUMBER_WORDS.keys()}
    for text in sources:
        for match, readings in _figures(text):
            for reading in readings:
                figures.setdefault(reading, set()).add(_unit_after(text, match.end()))
    found = [*_wrong_figures(answer, figures), *_unknown_names(answer, words)]
    return tuple(sorted(found, key=lambda one: (one.start, one.kind)))


def _wrong_figures(answer: str, figures: dict[Decimal, set[str]]) -> Iterator[Unsupported]:
    for match, readings in _figures(answer):
        known = [figures[reading] for reading in readings if reading in figures]
        unit = _unit_after(answer, match.end())
        units = set[str]().union(*known)
        if not known:
            yield Unsupported(kind="figure", text=match[0], start=match.start(), end=match.end())
        # Sources that write a figure without a unit say nothing of the unit.
        elif unit and unit not in units and "" not in units:
            following = _UNIT_AFTER.match(answer, match.end())
            end = following.end() if following else match.end()
            yield Unsupported(kind="unit", text=answer[match.start() : end], start=match.start(), end=end)


def _figures(text: str) -> Iterator[tuple[re.Match[str], frozenset[Decimal]]]:
    """Numbers that are no part of a word ("v2"), each with what it may mean."""
    for match in _NUMBER.finditer(text):
        before = text[match.start() - 1 : match.start()]
        if not before.isalpha() and before != "_":
            yield match, _readings(match[0])


def _readings(number: str) -> frozenset[Decimal]:
    """What a number may mean: "1,000" is a thousand or one, "1,000.5" and "3,5" one thing each."""
    plain = re.sub(r"['’\u00a0\u202f]", "", number)
    parts, separators = re.split(r"[.,]", plain), re.findall(r"[.,]", plain)
    if not separators:
        return frozenset({Decimal(plain)})
    found = set()
    if len(set(separators)) == 1 and all(len(part) == 3 for part in parts[1:]):
        found.add(Decimal("".join(parts)))
    if separators[-1] not in separators[:-1]:
        found.add(Decimal("".join(parts[:-1]) + "." + parts[-1]))
    return frozenset(found)


def _unit_after(text: str, end: int) -> str:
    """The unit of a figure that ends there; empty where it has none of the table."""
    match = _UNIT_AFTER.match(text, end)
    return _UNITS[match[1].casefold()] if match else ""


def _unknown_names(answer: str, known: set[str]) -> Iterator[Unsupported]:
    for match in _WORD.finditer(answer):
        word = match[0]
        if word.casefold() not in known and _is_name(answer, match):
            yield Unsupported(kind="name", text=word, start=match.start(), end=match.end())


def _is_name(text: str, match: re.Match[str]) -> bool:
    word = match[0]
    # What begins with a digit is looked at as a figure.
    if len(word) == 1 or word[0].isdigit():
        return False
    if sum(letter.isupper() for letter in word) >= 2 or any(letter.isdigit() for letter in word):
        return True
    return word[0].isupper() and not _begins_sentence(text, match.start())


def _begins_sentence(text: str, start: int) -> bool:
    at = start - 1
    while at >= 0 and text[at] in _BEFORE_SENTENCE:
        at -= 1
    return at < 0 or text[at] in _SENTENCE_END
