"""A limit on the tokens of the passages that a prompt shows; a passage is shown whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from fourfold.errors import StudyError
from fourfold.retrieval.chunk import CountTokens
from fourfold.retrieval.context.passage import Passage
from fourfold.types import Chunk


def fit(passages: Sequence[Passage], count_tokens: CountTokens, *, max_tokens: int) -> tuple[Passage, ...]:
    """The passages that fit, in their order: one that would not is passed over, a shorter one after it may.

    Args:
        passages: best first.
        count_tokens: by the student's tokenizer; their numbers and what stands between them are not counted.
        max_tokens: of all together.
    """
    kept: list[Passage] = []
    left = max_tokens
    for passage, n_tokens in zip(passages, count_tokens([one.text for one in passages]), strict=True):
        if n_tokens <= left:
            kept.append(passage)
            left -= n_tokens
    return tuple(kept)


def require_room(chunks: Sequence[Chunk], *, max_tokens: int) -> None:
    """Refuse a limit under which some chunk could never be shown.

    Raises:
        StudyError: a chunk has more tokens.
    """
    longest = max((chunk.n_tokens for chunk in chunks), default=0)
    if longest > max_tokens:
        raise StudyError(
            "retrieval.context_tokens leaves no room for a whole passage",
            seen=f"{max_tokens} tokens, and a chunk of {longest}",
            expected=f"at least {longest}: passages are never cut",
            hint="raise retrieval.context_tokens, or lower index.chunk_tokens",
        )
