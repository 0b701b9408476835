from __future__ import annotations

import random
import sys

import pytest
from rouge_score.rouge_scorer import RougeScorer
from support.questions import make_question

from fourfold.errors import InputError
from fourfold.evals import metrics
from fourfold.evals.metrics import TEXT_METRICS, rouge_l

WORDS = ("the", "pump", "Pump's", "valve", "40", "40.5", "read-only", "snake_case", "runs", "run", "closed", "-", "!")


def score(answer: str, reference: str) -> float:
    return rouge_l(answer, make_question("q", reference=reference))


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        # Nothing on one side or both.
        ("", "", 0),
        ("", "pump", 0),
        ("pump", "", 0),
        ("...", "pump", 0),
        # The same words; case and punctuation do not count, articles do.
        ("The pump.", "the PUMP", 1),
        ("the pump", "pump", 2 / 3),
        ("pump", "valve", 0),
        # Lin 2004, section 3.1: reference "police killed the gunman". LCS 3 of 4 and 4, then 2 of 4 and 4.
        ("police kill the gunman", "police killed the gunman", 3 / 4),
        ("the gunman kill police", "police killed the gunman", 2 / 4),
        # A subsequence may have gaps: LCS 3; P = 3 / 5, R = 3 / 3.
        ("a b x c y", "a b c", 2 * (3 / 5) / (3 / 5 + 1)),
        # A repeated word counts as often as both have it, in order: LCS 1 of 3 and 1.
        ("pump pump pump", "pump", 2 / 4),
        # No stemming.
        ("runs", "run", 0),
    ],
)
def test_rouge_l_worked_by_hand(answer: str, reference: str, expected: float) -> None:
    assert score(answer, reference) == pytest.approx(expected, abs=1e-15)


def longest_common_subsequence(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + longest_common_subsequence(a[1:], b[1:])
    return max(longest_common_subsequence(a[1:], b), longest_common_subsequence(a, b[1:]))


def test_rouge_l_is_the_papers_formula() -> None:
    rng = random.Random(2004)
    scores = []
    for _ in range(300):
        answer, reference = (rng.choices(["a", "b", "c", "d"], k=rng.randrange(1, 6)) for _ in range(2))
        lcs = longest_common_subsequence(answer, reference)
        recall, precision = lcs / len(reference), lcs / len(answer)
        expected = 2 * recall * precision / (recall + precision) if lcs else 0.0
        assert score(" ".join(answer), " ".join(reference)) == pytest.approx(expected, abs=1e-12)
        scores.append(round(expected, 6))
    assert len(set(scores)) > 8


def test_words_are_the_librarys_own_in_plain_english() -> None:
    library = RougeScorer(["rougeL"], use_stemmer=False)
    rng = random.Random(42)
    for _ in range(300):
        answer, reference = (" ".join(rng.choices(WORDS, k=rng.randrange(7))) for _ in range(2))
        assert score(answer, reference) == library.score(reference, answer)["rougeL"].fmeasure


def test_other_scripts_have_words_too() -> None:
    assert score("Насос работает", "насос работает") == 1
    assert score("Über", "ber") == 0


def test_a_missing_package_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics._rouge_scorer.cache_clear()
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(InputError, match=r"fourfold\[evals\]"):
        score("pump", "pump")
    metrics._rouge_scorer.cache_clear()


def test_rouge_l_is_a_metric_of_the_study() -> None:
    assert TEXT_METRICS["rouge_l"] is rouge_l
