"""Captions of figures and tables, told by how they begin."""

from __future__ import annotations

import re

_MAX_CHARS = 600

# "Figure 3. Yields", "Table A.1: …"; "Table 3 shows that" and "Figure 2 of the guide" are sentences.
_CAPTION = re.compile(
    r"(?:fig(?:ure|\.)?|table|tab\.|exhibit|chart|plate|listing|abbildung|abb\.|tabelle|tableau|figura|tabla)"
    r"(?:\s*[A-Z]?\.?\d{1,3}(?:[.-]\d{1,3})*[a-z]?|\s+[IVX]{1,5}\b|\s+[A-Z]\b)(?:\([a-z]\))?"
    r"(?:\s*[.:–—-]|\s*$|\s+(?=[A-Z(“\"]))",
    re.IGNORECASE,
)


def is_caption(text: str) -> bool:
    """Whether a paragraph is the caption of a figure or a table.

    Args:
        text: its text.
    """
    found = _CAPTION.match(text)
    if found is None or len(text) > _MAX_CHARS:
        return False
    # IGNORECASE makes [A-Z] any letter: what follows without a stop must begin with a capital.
    rest = text[found.end() :].lstrip()
    return found.group().rstrip()[-1:] in ".:–—-" or not rest or rest[0].isupper() or not rest[0].isalpha()
