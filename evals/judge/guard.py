"""Making untrusted text harmless in a judge's prompt: an answer or a passage may ask for full marks.

Mechanical guards, not a cure: text that argues well may still move a model. By how much is measured (`injection`).
"""

from __future__ import annotations

import re
import unicodedata

_MARK = "| "
_JOINERS = frozenset({"\u200c", "\u200d"})  # letters of some scripts need them
_BRACKETS = str.maketrans({"<": "‹", ">": "›", "＜": "‹", "＞": "›"})
# Mistral's control tokens ("[INST]", "[/TOOL_CALLS]") are single tokens to its tokenizer.
_CONTROL = re.compile(r"\[(/?[A-Z]{2,}(?:_[A-Z]+)*)\]")
# Nothing stands before the word but marks and "my", "final" …: "Pressure rating: 5" is an answer.
_RATING = re.compile(
    r"""\W*(?:(?:the|my|your|final|overall)\s+)*(?:ratings?|scores?|marks?|verdict)
        (?:\s*\([^)]*\))?["'\s*_]*(?:[:=]|is\b)["'\s*_]*
        (?:10|\d)?(?:\s*(?:/|of|out\s+of)\s*(?:10|\d))?\W*""",
    re.IGNORECASE | re.VERBOSE,
)
TAKEN_OUT = "(a line that gives a rating was taken out)"


def quote(text: str) -> str:
    """Untrusted text as it stands in a prompt.

    - Every line begins with "| ", so that none can pass for a role, a heading or a field of the prompt itself.
    - "<" and ">" become "‹" and "›", and "[INST]" "(INST)": no special token of a chat template and no tag survives.
    - A line that gives a rating and says nothing else is replaced by a note; "Pressure rating: 5 bar" stays.
    - Control and invisible characters (direction marks, tags) are dropped; every line break is one.
    """
    plain = "".join(
        character
        for character in text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
        if character in "\n\t" or character in _JOINERS or unicodedata.category(character) not in {"Cc", "Cf", "Co"}
    )
    plain = _CONTROL.sub(r"(\1)", plain.translate(_BRACKETS))
    lines = [line.rstrip() for line in plain.strip().split("\n")]
    return "\n".join(_MARK + (TAKEN_OUT if _is_rating(line) else line) for line in lines)


def _is_rating(line: str) -> bool:
    bare = "".join(character for character in line if character not in _JOINERS)
    return bool(_RATING.fullmatch(bare))
