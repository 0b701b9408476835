"""Which chunker a study asks for."""

from __future__ import annotations

from fourfold.retrieval.chunk import CountTokens
from fourfold.retrieval.chunkers.fixed_tokens import FixedTokens
from fourfold.retrieval.chunkers.hierarchical import Hierarchical
from fourfold.retrieval.chunkers.port import Chunker
from fourfold.retrieval.chunkers.section import BySection
from fourfold.retrieval.chunkers.sentence_window import SentenceWindow
from fourfold.study import IndexSettings


def make_chunker(settings: IndexSettings, count_tokens: CountTokens) -> Chunker:
    """The chunker of `index.chunker`, of the study's size.

    Args:
        settings: of the index.
        count_tokens: token counts of texts by the student's tokenizer.
    """
    size, overlap = settings.chunk_tokens, settings.chunk_overlap
    match settings.chunker:
        case "tokens":
            return FixedTokens(count_tokens=count_tokens, max_tokens=size, overlap=overlap)
        case "section":
            return BySection(count_tokens=count_tokens, max_tokens=size, overlap=overlap)
        case "sentence_window":
            return SentenceWindow(count_tokens=count_tokens, max_tokens=size)
        case "hierarchical":
            return Hierarchical(count_tokens=count_tokens, max_tokens=size)
