from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.questions import make_question

from fourfold.errors import FairnessError
from fourfold.ingest.leakage import find_nearest, leakage_table, require_few_leaks
from fourfold.types import LeakedPair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fourfold.ingest.leakage import Embed
    from fourfold.types import Question


def ask(question: str, reference: str = "", *, name: str = "q") -> Question:
    return make_question(name, question=question, reference=reference)


def at_angle(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors at the angle, in degrees, that each text's last word names."""
    angles = [math.radians(float(text.split()[-1])) for text in texts]
    return np.array([[math.cos(angle), math.sin(angle)] for angle in angles], dtype=np.float32)


def all_apart(texts: Sequence[str]) -> NDArray[np.float32]:
    """No text is like another, nor like itself."""
    return np.zeros((len(texts), 2), dtype=np.float32)


def find_leaks(
    tuning: Sequence[Question], test: Sequence[Question], embed: Embed, *, jaccard_limit: float, cosine_limit: float
) -> tuple[LeakedPair, ...]:
    """What is taken out."""
    found = find_nearest(tuning, test, embed, jaccard_limit=jaccard_limit, cosine_limit=cosine_limit)
    assert [one.pair.tuning_question for one in found] == [item.question for item in tuning if test]
    return tuple(one.pair for one in found if one.leaks)


@pytest.mark.parametrize(
    ("one", "other", "jaccard"),
    [
        ("red pump runs at noon", "red pump runs at noon", 1),
        # Of each three 3-grams, "red pump runs" and "pump runs at" are shared: 2 of 4.
        ("red pump runs at noon", "red pump runs at night", 2 / 4),
        # One 3-gram against three that contain it.
        ("pump runs at", "red pump runs at noon", 1 / 3),
        # The order within a 3-gram counts, how often it stands does not.
        ("red pump runs", "runs pump red", 0),
        ("on and on and on and on", "on and on and on", 1),
        # Articles, case and punctuation do not count.
        ("The red pump runs.", "a RED pump, runs", 1),
        # A text of fewer than three tokens is one shingle.
        ("red pump", "red pump", 1),
        ("red pump", "red pump runs", 0),
        ("?", "!", 0),
    ],
)
def test_the_jaccard_index_is_of_sets_of_word_3_grams(one: str, other: str, jaccard: float) -> None:
    (leak,) = find_leaks([ask(one)], [ask(other)], all_apart, jaccard_limit=0, cosine_limit=1)
    assert leak.jaccard == pytest.approx(jaccard)
    assert leak.cosine == 0


def test_question_and_reference_are_compared_as_one_text() -> None:
    one, other = ask("red pump runs", "at noon"), ask("red pump", "runs at noon")
    (leak,) = find_leaks([one], [other], all_apart, jaccard_limit=1, cosine_limit=1)
    assert leak == LeakedPair(
        tuning_question="red pump runs",
        tuning_reference="at noon",
        test_question_id="q",
        test_question="red pump",
        jaccard=1,
        cosine=0,
    )


@pytest.mark.parametrize(("limit", "n_leaks"), [(0.49, 1), (0.5, 1), (0.51, 0)])
def test_a_jaccard_index_at_its_limit_suffices_and_below_it_does_not(limit: float, n_leaks: int) -> None:
    pair = [ask("red pump runs at noon")], [ask("red pump runs at night")]
    assert len(find_leaks(*pair, all_apart, jaccard_limit=limit, cosine_limit=0.1)) == n_leaks


@pytest.mark.parametrize(("limit", "n_leaks"), [(0.49, 1), (0.51, 0)])
def test_a_cosine_over_its_limit_suffices_and_below_it_does_not(limit: float, n_leaks: int) -> None:
    leaks = find_leaks([ask("one 0")], [ask("other 60")], at_angle, jaccard_limit=0.1, cosine_limit=limit)
    assert len(leaks) == n_leaks
    assert [leak.cosine for leak in leaks] == pytest.approx([0.5] * n_leaks)


def test_a_leak_names_the_test_question_furthest_over_its_limit() -> None:
    repeated = ask("red pump runs at noon", "0")
    # Jaccard 2/5 (0.1 over its limit), cosine 0; Jaccard 0, cosine 0.98 (0.48 over); Jaccard 0, cosine 0.87.
    test = [ask("red pump runs at 90", name="t1"), ask("x y z 10", name="t2"), ask("u v w 30", name="t3")]
    (leak,) = find_leaks([repeated], test, at_angle, jaccard_limit=0.3, cosine_limit=0.5)
    assert leak.test_question_id == "t2"
    (leak,) = find_leaks([repeated], test, at_angle, jaccard_limit=0.3, cosine_limit=0.99)
    assert (leak.test_question_id, leak.jaccard) == ("t1", pytest.approx(2 / 5))


def test_only_near_repeats_are_taken_out_in_their_order() -> None:
    questions = [ask(text) for text in ("red pump runs", "blue valve leaks", "green gauge breaks", "old tank rusts")]
    test = [ask("old tank rusts"), ask("blue valve leaks")]
    leaks = find_leaks(questions, test, all_apart, jaccard_limit=0.5, cosine_limit=0.5)
    assert [leak.tuning_question for leak in leaks] == ["blue valve leaks", "old tank rusts"]


def test_without_one_side_nothing_leaks() -> None:
    some = [ask("red pump runs")]
    assert find_leaks([], some, all_apart, jaccard_limit=0, cosine_limit=0) == ()
    assert find_leaks(some, [], all_apart, jaccard_limit=0, cosine_limit=0) == ()


def leaked(name: str) -> LeakedPair:
    return LeakedPair(
        tuning_question=f"tuned {name}?",
        tuning_reference="",
        test_question_id=name,
        test_question=f"asked {name}?",
        jaccard=0.75,
        cosine=0.5,
    )


@pytest.mark.parametrize(("n_leaks", "n_tuning"), [(0, 0), (0, 10), (1, 10), (2, 20)])
def test_leaks_up_to_the_limit_pass(n_leaks: int, n_tuning: int) -> None:
    require_few_leaks([leaked(str(at)) for at in range(n_leaks)], n_tuning, limit=0.1)


def test_leaks_over_the_limit_stop_the_study_with_every_pair() -> None:
    with pytest.raises(FairnessError) as error:
        require_few_leaks([leaked("x"), leaked("y")], 19, limit=0.1)
    assert "2 of 19" in str(error.value)
    assert "at most 10%" in error.value.expected
    for name in "xy":
        assert f"'tuned {name}?' ~ 'asked {name}?' (Jaccard 0.75, cosine 0.50)" in str(error.value)


def test_the_evidence_holds_every_tuning_question_the_nearest_first() -> None:
    tuning = [ask(text, name=text) for text in ("far away from all of it", "red pump runs at night", "same words here")]
    test = [ask("red pump runs at noon", name="t0"), ask("same words here", name="t1")]
    found = find_nearest(tuning, test, all_apart, jaccard_limit=0.8, cosine_limit=0.9)
    assert [one.leaks for one in found] == [False, False, True]
    # Of equal sets the estimate is exact; of others it errs by sqrt(J (1 - J) / 128), .044 at the most.
    assert found[2].minhash == 1
    assert found[1].minhash == pytest.approx(2 / 4, abs=0.15)
    rows = list(csv.DictReader(io.StringIO(leakage_table(found))))
    assert [(row["tuning_question"], row["test_question_id"], row["taken_out"]) for row in rows] == [
        ("same words here", "t1", "yes"),
        ("red pump runs at night", "t0", "no"),
        ("far away from all of it", "t0", "no"),
    ]
    assert [row["jaccard"] for row in rows] == ["1.0000", "0.5000", "0.0000"]
    assert leakage_table([]).count("\n") == 1
