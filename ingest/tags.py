"""Supporting-context tags: which of a study's own words a section holds.

Balaguer et al. 2024 have a language model tag each section (location, crop, livestock, disease). Here a
tag is mechanical: a word of the study's list stands in the section. It knows no synonyms and no meanings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from fourfold.types import Block

Sections = Mapping[tuple[str, tuple[str, ...]], tuple[str, ...]]
# (document id, section path) → its tags, such as "crop: winter wheat"


def tag_sections(blocks: Iterable[Block], tags: Mapping[str, Sequence[str]]) -> Sections:
    """Tags of every section that has one.

    A word stands in a section if it does in its headings or text, between non-letters, in upper or lower case, with
    white space of any kind; no other form of it counts.

    Args:
        blocks: of any documents.
        tags: tag name to its words, each of one word or more.

    Returns:
        Per section the tags in the order of the study.
    """
    texts: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for block in blocks:
        texts.setdefault((block.doc_id, block.section), []).append(block.text)
    patterns = [(f"{name}: {word}", _pattern(word)) for name, words in tags.items() for word in words]
    found = {}
    for section, parts in texts.items():
        text = "\n".join(parts)
        own = tuple(tag for tag, pattern in patterns if pattern.search(text))
        if own:
            found[section] = own
    return found


def _pattern(word: str) -> re.Pattern[str]:
    spaced = r"\s+".join(re.escape(part) for part in word.split())
    return re.compile(rf"(?<!\w){spaced}(?!\w)", re.IGNORECASE)
