"""Parent expansion: a chunk brings along what stands beside it in its section, up to a number of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fourfold.retrieval.chunk import CountTokens
from fourfold.retrieval.context.passage import Passage
from fourfold.types import BLOCK_SEPARATOR, Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionExpansion:
    """Small chunks are found, larger passages shown.

    Args:
        siblings: by document and section path, the chunks under it.
        texts: of the documents, by id.
        count_tokens: by the student's tokenizer.
        max_tokens: of one passage; a chunk that is longer stays as it is.
    """

    siblings: Mapping[tuple[str, tuple[str, ...]], Sequence[Chunk]]
    texts: Mapping[str, str]
    count_tokens: CountTokens
    max_tokens: int

    def expand(self, passages: Sequence[Passage]) -> tuple[Passage, ...]:
        """Each passage with whole neighbouring chunks, the one after first, then the one before, in turn.

        No text is shown twice: a passage that lies within an earlier one goes, and none grows into an earlier one.

        Args:
            passages: chunks of one question, best first.
        """
        grown: list[Passage] = []
        for passage in passages:
            earlier = [one for one in grown if one.chunk.doc_id == passage.chunk.doc_id]
            if not any(one.start <= passage.start and passage.end <= one.end for one in earlier):
                grown.append(self._grow(passage, earlier))
        return tuple(grown)

    def _grow(self, passage: Passage, earlier: Sequence[Passage]) -> Passage:
        chunk = passage.chunk
        text = self.texts[chunk.doc_id]
        siblings = self.siblings.get((chunk.doc_id, chunk.section), ())
        span = passage.start, passage.end
        sides = [_after, _before]
        while sides:
            wider = sides[0](siblings, text, span)
            if wider is None or self._is_taken(wider, span, earlier) or self._is_long(text, wider):
                del sides[0]
            else:
                span = wider
                sides.reverse()
        start, end = span
        return Passage(chunk=chunk, text=text[start:end], start=start, end=end)

    def _is_long(self, text: str, span: tuple[int, int]) -> bool:
        return self.count_tokens([text[slice(*span)]])[0] > self.max_tokens

    @staticmethod
    def _is_taken(wider: tuple[int, int], own: tuple[int, int], earlier: Sequence[Passage]) -> bool:
        """Whether what is new lies in an earlier passage, in part at least."""
        new = (own[1], wider[1]) if wider[1] > own[1] else (wider[0], own[0])
        return any(one.start < new[1] and new[0] < one.end for one in earlier)


def joined_texts(chunks: Sequence[Chunk]) -> dict[str, str]:
    """The documents' texts put together from their chunks, which hold every word, every offset kept.

    Of the space between two chunks its length is known: two characters or more are a blank line.
    """
    texts: dict[str, str] = {}
    for chunk in sorted(chunks, key=lambda chunk: (chunk.doc_id, chunk.start, chunk.end)):
        text = texts.get(chunk.doc_id, "")
        gap = chunk.start - len(text)
        between = " " if gap == 1 else BLOCK_SEPARATOR + " " * (gap - 2) if gap > 1 else ""
        texts[chunk.doc_id] = text + between + chunk.text[max(0, -gap) :]
    return texts


def by_section(chunks: Sequence[Chunk]) -> dict[tuple[str, tuple[str, ...]], list[Chunk]]:
    """The chunks under each section path of each document."""
    siblings: dict[tuple[str, tuple[str, ...]], list[Chunk]] = {}
    for chunk in chunks:
        siblings.setdefault((chunk.doc_id, chunk.section), []).append(chunk)
    return siblings


def _after(siblings: Sequence[Chunk], text: str, span: tuple[int, int]) -> tuple[int, int] | None:
    """The span with the next chunk, if nothing but space lies between: another section may."""
    start, end = span
    following = [one for one in siblings if one.end > end and one.start >= start and not text[end : one.start].strip()]
    return (start, min(one.end for one in following)) if following else None


def _before(siblings: Sequence[Chunk], text: str, span: tuple[int, int]) -> tuple[int, int] | None:
    start, end = span
    leading = [one for one in siblings if one.start < start and one.end <= end and not text[one.end : start].strip()]
    return (max(one.start for one in leading), end) if leading else None
