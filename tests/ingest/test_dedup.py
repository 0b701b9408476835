from __future__ import annotations

import random
from itertools import combinations

import pytest
from datasketch import MinHash

from fourfold.ingest.dedup import NearDuplicates, find_duplicates
from fourfold.ingest.leakage import jaccard, shingles

LONG = "which tool checks the seals of the north pump every twelve hours before the shift begins the torque wrench"


def test_the_same_text_up_to_case_punctuation_and_articles_is_a_duplicate() -> None:
    assert find_duplicates([LONG, "other words", f"{LONG.upper()}?", LONG]) == {2: 0, 3: 0}


def test_one_changed_word_of_many_is_near_and_three_are_not() -> None:
    words = LONG.split()
    near = " ".join([*words[:-1], "spanner"])
    far = " ".join(["what", *words[1:7], "boiler", *words[8:-1], "spanner"])
    assert jaccard(shingles(LONG), shingles(near)) >= 0.8
    assert jaccard(shingles(LONG), shingles(far)) < 0.8
    assert find_duplicates([LONG, near]) == {1: 0}
    assert find_duplicates([LONG, far]) == {}


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        ("What is pH? 7", "What is pH? 8", False),
        ("What is the pH? 7", "What is pH? 7", True),
        ("Who leads? Ann", "Who leads? Bob", False),
        ("Who?", "Who?", True),
        ("", "", True),
    ],
)
def test_very_short_questions_are_duplicates_only_where_all_words_are_the_same(a: str, b: str, alike: bool) -> None:
    assert find_duplicates([a, b]) == ({1: 0} if alike else {})


def test_where_the_estimate_says_duplicate_and_the_index_does_not_it_is_none() -> None:
    """Nine words and the same with two more: Jaccard 7/9, which MinHash of so few shingles often takes for .8."""
    n_false = 0
    for pair in range(40):
        words = [f"w{pair}x{number}" for number in range(11)]
        texts = [" ".join(words[:9]), " ".join(words)]
        one, other = (shingles(text) for text in texts)
        assert jaccard(one, other) == pytest.approx(7 / 9)
        assert find_duplicates(texts) == {}
        n_false += sketch(one).jaccard(sketch(other)) >= 0.8
    assert n_false > 0, "the example shows nothing"


def sketch(own: frozenset[tuple[str, ...]]) -> MinHash:
    made = MinHash(num_perm=128)
    made.update_batch([" ".join(shingle).encode() for shingle in sorted(own)])
    return made


def test_nothing_that_reaches_the_limit_is_missed() -> None:
    chooser = random.Random(1)
    base = [f"w{number}" for number in range(40)]
    texts = []
    for _ in range(60):
        words = list(base)
        words[chooser.randrange(40)] = "x"
        texts.append(" ".join(words))
    sets = [shingles(text) for text in texts]
    found = find_duplicates(texts)
    kept = [at for at in range(len(texts)) if at not in found]
    assert found
    assert all(jaccard(sets[a], sets[b]) < 0.8 for a, b in combinations(kept, 2))


def test_a_text_names_the_one_it_is_most_like() -> None:
    words = LONG.split()
    near = NearDuplicates(limit=0.6)
    assert near.add("a", LONG) is None
    assert near.add("b", " ".join([*words, *"on every working day of the year in both plants".split()])) is None  # noqa: SIM905
    assert near.add("c", " ".join([*words, *"on every working day of the year in both halls".split()])) == "b"  # noqa: SIM905
