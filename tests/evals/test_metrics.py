from __future__ import annotations

import random
import re
import string
from collections import Counter

import pytest
from support.questions import make_question

from fourfold.evals.metrics import TEXT_METRICS, containment, exact_match, is_refusal, key_fact_recall, token_f1
from fourfold.study import METRICS as METRIC_NAMES
from fourfold.types import Question

DASH = "–"
WORDS = ("the", "a", "an", "The", "pump", "Pump", "valve", "theory", "40", "40.5", "read-only", "don't", "Über")
MARKS = ("", "", "", ".", ",", "-", "'", "_", "(", " ", "\t", "\n", "\u00a0", DASH)


def asked(reference: str, *key_facts: tuple[str, ...]) -> Question:
    return make_question("q", reference=reference, key_facts=key_facts)


@pytest.mark.parametrize(
    ("answer", "reference", "exact", "f1"),
    [
        # Nothing: two empty answers agree, one does not; articles and punctuation are nothing.
        ("", "", 1, 1),
        ("The.", "", 1, 1),
        ("", "pump", 0, 0),
        ("pump", "", 0, 0),
        # One token.
        ("pump", "pump", 1, 1),
        ("pump", "valve", 0, 0),
        # Case, articles, punctuation and white space do not count; a hyphen joins its neighbours.
        ("The Pump,\n a  VALVE!", "pump valve", 1, 1),
        ("read-only", "readonly", 1, 1),
        ("read-only", "read only", 0, 0),
        ("$1,000", "1000", 1, 1),
        # 1 of 4 and 1 of 1: 2 × 1 / 5.
        ("it is the pump there", "pump", 0, 2 / 5),
        # A repeated token counts as often as both have it: pump once, valve once, of 3 and 3.
        ("pump pump valve", "pump valve valve", 0, 4 / 6),
        ("pump pump pump", "pump", 0, 2 / 4),
        # The order counts for exact match only.
        ("valve pump", "pump valve", 0, 1),
    ],
)
def test_exact_match_and_f1_worked_by_hand(answer: str, reference: str, exact: float, f1: float) -> None:
    assert exact_match(answer, asked(reference)) == exact
    assert token_f1(answer, asked(reference)) == pytest.approx(f1, abs=1e-15)


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("", "", 0),
        ("pump", "", 0),
        ("pump", "The", 0),
        ("", "pump", 0),
        ("pump", "pump", 1),
        ("It is the pump, at noon.", "a pump at noon", 1),
        ("at the pump", "pump at", 0),
        ("pump and valve", "pump valve", 0),
        ("pumps", "pump", 0),
        ("a read-only file", "readonly", 1),
        ("pump pump valve", "pump valve", 1),
    ],
)
def test_containment_is_one_run_of_whole_tokens(answer: str, reference: str, expected: float) -> None:
    assert containment(answer, asked(reference)) == expected


@pytest.mark.parametrize(
    ("answer", "facts", "expected"),
    [
        ("The valve closes at noon.", [("noon",)], 1),
        ("", [("noon",)], 0),
        # One of a fact's strings is enough, and two of them are still one fact.
        ("Every four hours.", [("4 hours", "four hours")], 1),
        ("4 hours, four hours", [("4 hours", "four hours"), ("noon",)], 1 / 2),
        ("at noon, by the pump", [("noon",), ("midnight",), ("Pump!",)], 2 / 3),
        # A fact given twice counts twice.
        ("noon", [("noon",), ("noon",), ("pump",)], 2 / 3),
        ("4 more hours", [("4 hours",)], 0),
        # The reference plays no part where there are facts.
        ("it runs", [("noon",)], 0),
    ],
)
def test_key_fact_recall_is_the_share_of_facts_stated(
    answer: str, facts: list[tuple[str, ...]], expected: float
) -> None:
    assert key_fact_recall(answer, asked("it runs", *facts)) == pytest.approx(expected)


@pytest.mark.parametrize(("answer", "expected"), [("Yes: it runs.", 1), ("it never runs", 0), ("", 0)])
def test_without_key_facts_the_reference_is_the_one_fact(answer: str, expected: float) -> None:
    assert key_fact_recall(answer, asked("it runs")) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "I don't know.",
        "I don’t know",
        "i do not know the answer",
        "Sorry, but we cannot tell.",
        "I am unable to answer this.",
        "No information is given.",
        "There is not enough information in the passages.",
        "The passages do not mention it.",
        "The passage doesn't say.",
        "The answer is not provided in the passages.",
        "This question cannot be answered from the text.",
        "I don't have enough information to answer.",
        "The provided documents do not specify this.",
    ],
)
def test_a_refusal_is_recognised(answer: str) -> None:
    assert is_refusal(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "The pump runs at noon.",
        "The operator does not know the code.",
        "I know.",
        "No pump is found in the hall.",
        "Wiki do not know.",
        "This information is in the manual.",
        "The source does not contain a changelog.",
        "The information is not included in the binary package.",
        "The answer is in section 4.",
    ],
)
def test_an_answer_and_no_answer_are_no_refusals(answer: str) -> None:
    assert not is_refusal(answer)


def test_every_metric_a_study_may_name_is_there() -> None:
    assert (*TEXT_METRICS, "embedding_similarity") == METRIC_NAMES


# The official evaluation, written from its definition (Rajpurkar et al. 2016, evaluate-v1.1.py).


def normalised(text: str) -> str:
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def official_f1(prediction: str, truth: str) -> float:
    said, wanted = normalised(prediction).split(), normalised(truth).split()
    n_same = sum((Counter(said) & Counter(wanted)).values())
    if n_same == 0:
        return 0.0
    precision, recall = n_same / len(said), n_same / len(wanted)
    return 2 * precision * recall / (precision + recall)


def random_text(rng: random.Random) -> str:
    n = rng.randrange(6)
    return "".join(rng.choice(MARKS) + rng.choice(WORDS) + rng.choice(MARKS) + rng.choice(" -") for _ in range(n))


def differs_as_documented(text: str) -> bool:
    """Punctuation that is not ASCII beside an article: there the official pattern drops the article."""
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return re.search(rf"{DASH}(a|an|the)\b|\b(a|an|the){DASH}", bare) is not None


def test_exact_match_and_f1_are_squads() -> None:
    rng = random.Random(20160616)
    pairs = [(random_text(rng), random_text(rng)) for _ in range(900)]
    # Half of the answers are the reference, changed only in what the normalisation takes away.
    pairs += [(f" THE {truth.upper()}. ", truth) for _, truth in pairs]
    kept = [pair for pair in pairs if not any(map(differs_as_documented, pair))]
    scores = []
    for answer, reference in kept:
        exact = float(normalised(answer) == normalised(reference))
        # Two empty texts: 0 in version 1.1, 1 in version 2.0 and here.
        f1 = 1.0 if normalised(answer) == normalised(reference) == "" else official_f1(answer, reference)
        assert exact_match(answer, asked(reference)) == exact, (answer, reference)
        assert token_f1(answer, asked(reference)) == pytest.approx(f1, abs=1e-12), (answer, reference)
        scores.append((exact, round(f1, 6)))
    # The strings reach every kind of outcome.
    assert len(kept) > 800
    assert {(0.0, 0.0), (1.0, 1.0)} <= set(scores)
    assert len(set(scores)) > 8


def test_an_article_beside_other_punctuation_stays_and_the_official_script_drops_it() -> None:
    assert normalised(f"a{DASH}b") == f"{DASH}b"
    assert differs_as_documented(f"a{DASH}b")
    assert exact_match(f"a{DASH}b", asked(f"{DASH}b")) == 0
    assert exact_match(f"a{DASH}b", asked(f"the A{DASH}B.")) == 1
