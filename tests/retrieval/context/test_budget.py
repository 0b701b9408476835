from __future__ import annotations

import pytest
from support.passages import chunk_of, count_words, passages

from fourfold.errors import StudyError
from fourfold.retrieval.context.budget import fit, require_room


@pytest.mark.parametrize(
    ("max_tokens", "kept"),
    [
        (9, [0, 1, 2]),
        (8, [0, 1]),
        # The second is too long for what is left, the third is not.
        (5, [0, 2]),
        (3, [0]),
        (2, [2]),
        (1, []),
    ],
)
def test_passages_are_shown_whole_or_not_at_all(max_tokens: int, kept: list[int]) -> None:
    own = passages("a b c", "d e f g", "h i")
    assert fit(own, count_words, max_tokens=max_tokens) == tuple(own[at] for at in kept)


def test_nothing_fits_into_nothing() -> None:
    assert fit((), count_words, max_tokens=5) == ()


def test_a_limit_below_the_longest_chunk_is_refused_with_the_number_that_is_needed() -> None:
    chunks = [chunk_of("a b c"), chunk_of("d e f g")]
    require_room(chunks, max_tokens=4)
    require_room([], max_tokens=1)
    with pytest.raises(StudyError, match="no room for a whole passage") as error:
        require_room(chunks, max_tokens=3)
    assert (error.value.seen, error.value.expected) == (
        "3 tokens, and a chunk of 4",
        "at least 4: passages are never cut",
    )
