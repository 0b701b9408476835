"""Candidate quotes: sentences of every document, in paragraphs and in items of lists, that can be asked about."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fourfold.ingest.lists import after_mark
from fourfold.types import Block, BlockKind, Document

# Headings, tables, captions, notes and forms hold few whole sentences.
ASKED: frozenset[BlockKind] = frozenset({"text", "list"})
_SENTENCE = re.compile(r"\S.*?[.!?](?=\s+[A-Z(\"“]|\s*$)", re.DOTALL)
_POINTS_ELSEWHERE = re.compile(
    r"\b(this|these|the (above|following|previous|next)) "
    r"(section|chapter|document|manual|table|figure|page|example)s?\b"
    r"|\b(see|cf\.) (also )?(section|chapter|below|above)\b",
    re.IGNORECASE,
)
# Items of a list that were not told apart: "Yes from the list. o Do not change it. • Click Run."
_GLUED = re.compile(r"[•▪◦■□➢]|[.:] o [A-Z]")
_MIN_WORDS, _MAX_WORDS = 8, 45
_FALLBACK_MIN_WORDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A sentence at `[start, end)` of its document's text."""

    doc_id: str
    document: str
    page: int
    section: tuple[str, ...]
    start: int
    end: int
    quote: str


# Whether a candidate is left out.
Skip = Callable[[Candidate], bool]


def find_candidates(
    documents: Sequence[Document], blocks: Iterable[Block], *, seed: int, skip: Skip | None = None
) -> dict[str, list[Candidate]]:
    """Per read document, its candidates in the order in which they are tried: one of each section in turn.

    A candidate is a whole sentence of 8 to 45 words that does not point elsewhere ("see section …"); in a list none
    reaches over two items, and an item's mark is no part of it. A document without any gets its paragraphs and items of
    4 words and more instead: it must be covered too (fairness rule 2).

    Args:
        documents: those to find candidates in; unread ones have none.
        blocks: of these documents and of any others.
        seed: of the order.
        skip: candidates to leave out; they change nothing of the others' order within their section.
    """
    names = {document.doc_id: document.name for document in documents if document.status == "read"}
    strict: dict[str, list[Candidate]] = {doc_id: [] for doc_id in names}
    loose: dict[str, list[Candidate]] = {doc_id: [] for doc_id in names}
    for block in blocks:
        if block.kind not in ASKED or block.doc_id not in names:
            continue
        for start, end in _parts(block):
            for match in _SENTENCE.finditer(block.text, start, end):
                if _fits(match.group()):
                    strict[block.doc_id].append(_candidate(block, names[block.doc_id], match.span()))
            if len(block.text[start:end].split()) >= _FALLBACK_MIN_WORDS:
                loose[block.doc_id].append(_candidate(block, names[block.doc_id], (start, end)))
    queues = {doc_id: _in_turn(strict[doc_id] or loose[doc_id], seed) for doc_id in names}
    return {doc_id: [c for c in queue if skip is None or not skip(c)] for doc_id, queue in queues.items()}


def share_out(n_wanted: int, sizes: dict[str, int]) -> dict[str, int]:
    """How many of `n_wanted` each document gets: in proportion to its candidates, at least 1, largest remainder.

    More than `n_wanted` where there are more documents than that, and only there: every document is covered. Of equal
    remainders the first by document id gets one more.
    """
    total = sum(sizes.values())
    quota = dict.fromkeys(sizes, 1)
    for _ in range(n_wanted - len(sizes) if total else 0):
        # Furthest below its share, in whole numbers: gives each share's whole part first, then the largest remainders.
        quota[min(sizes, key=lambda doc_id: (quota[doc_id] * total - n_wanted * sizes[doc_id], doc_id))] += 1
    return quota


def _parts(block: Block) -> list[tuple[int, int]]:
    """Spans within a block that no sentence reaches over: the whole of a paragraph, each item of a list."""
    if block.kind != "list":
        return [(0, len(block.text))]
    spans, start = [], 0
    for item in block.text.split("\n"):
        spans.append((start + after_mark(item), start + len(item)))
        start += len(item) + 1
    return spans


def _fits(sentence: str) -> bool:
    words = sentence.split()
    return (
        _MIN_WORDS <= len(words) <= _MAX_WORDS
        and sentence[0].isupper()
        and sentence.endswith(".")
        and _POINTS_ELSEWHERE.search(sentence) is None
        and _GLUED.search(sentence) is None
    )


def _candidate(block: Block, document: str, span: tuple[int, int]) -> Candidate:
    return Candidate(
        doc_id=block.doc_id,
        document=document,
        page=block.page,
        section=block.section,
        start=block.start + span[0],
        end=block.start + span[1],
        quote=block.text[span[0] : span[1]],
    )


def _in_turn(candidates: Sequence[Candidate], seed: int) -> list[Candidate]:
    by_section: dict[tuple[str, ...], list[Candidate]] = {}
    for candidate in candidates:
        by_section.setdefault(candidate.section, []).append(candidate)
    shuffler = random.Random(seed)  # noqa: S311 (an order, not a secret)
    queues = list(by_section.values())
    shuffler.shuffle(queues)
    for queue in queues:
        shuffler.shuffle(queue)
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
