from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import entropy
from support.questions import make_question

from fourfold.ingest.question_metrics import (
    QuestionMetrics,
    kl_divergence,
    mean_pairwise_distance,
    measure_questions,
    word_distance,
)

WORDS = "pump seal valve boiler gauge crew sluice turbine".split()  # noqa: SIM905


@pytest.mark.parametrize(
    ("question", "source", "expected"),
    [
        ("pump seal", "pump seal", 0.0),
        ("seal pump", "The pump, the seal!", 0.0),
        ("", "", 0.0),
        # (2, 1) / 3 against (1, 2) / 3.
        ("pump", "seal", 2 / 3 * math.log(2) + 1 / 3 * math.log(1 / 2)),
        # (1) / 1 against (2) / 2.
        ("", "pump", 0.0),
    ],
)
def test_overlap_is_the_divergence_of_counts_raised_by_one(question: str, source: str, expected: float) -> None:
    assert kl_divergence(question, source) == pytest.approx(expected, abs=1e-12)


def test_overlap_agrees_with_scipy() -> None:
    chooser = random.Random(0)
    for _ in range(30):
        a, b = (chooser.choices(WORDS, k=chooser.randint(1, 20)) for _ in range(2))
        counts = [Counter(a), Counter(b)]
        names = sorted(set(a) | set(b))
        p, q = (np.array([count[name] + 1 for name in names], float) for count in counts)
        assert kl_divergence(" ".join(a), " ".join(b)) == pytest.approx(entropy(p, q), abs=1e-12)


def test_more_shared_words_are_a_lower_divergence() -> None:
    source = "the crew checks the seal of the pump"
    assert kl_divergence("does the crew check the seal", source) < kl_divergence("who paints a boiler red", source)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        (["pump seal"], None),
        (["pump seal", "seal pump"], 0.0),
        (["pump", "seal"], 1.0),
        # Distances 1/2, 1, 1.
        (["pump seal", "pump", "boiler"], 5 / 6),
        (["it is", "of the"], 0.0),
    ],
)
def test_diversity_is_the_mean_over_pairs(texts: list[str], expected: float | None) -> None:
    assert mean_pairwise_distance(texts, word_distance) == (None if expected is None else pytest.approx(expected))


def test_diversity_agrees_with_scipy() -> None:
    chooser = random.Random(1)
    texts = [chooser.sample(WORDS, k=chooser.randint(1, 8)) for _ in range(25)]
    rows = np.array([[word in text for word in WORDS] for text in texts])
    found = mean_pairwise_distance([" ".join(text) for text in texts], word_distance)
    assert found == pytest.approx(pdist(rows, "jaccard").mean())


def test_of_very_many_pairs_a_part_is_taken() -> None:
    calls = 0

    def distance(_: str, __: str) -> float:
        nonlocal calls
        calls += 1
        return 0.25

    assert mean_pairwise_distance(["x"] * 1500, distance) == pytest.approx(0.25)
    assert 300_000 < calls <= 500_000


def test_a_set_is_measured() -> None:
    questions = [
        make_question("a", question="Which crew checks it?", quote="The seal crew checks it.", reference="seal crew"),
        make_question("b", question="Which gauge is read daily?", quote="The gauge.", reference="the boiler gauge",
                      section=("Gauges",)),
    ]  # fmt: skip
    found = measure_questions(questions, n_sections=8)
    assert (found.n, found.answer_in_quote_share, found.section_share) == (2, 0.5, 0.25)
    assert (found.question_words, found.reference_words) == (4.5, 2.5)
    assert found.diversity_higher_is_more == 1.0
    assert found.overlap_kl_lower_is_more == pytest.approx(
        sum(kl_divergence(q.question, q.quote) for q in questions) / 2
    )
    assert measure_questions(questions, n_sections=8, distance=lambda *_: 0.3).diversity_higher_is_more == 0.3


def test_an_empty_set_has_no_measures() -> None:
    assert measure_questions([], n_sections=0) == QuestionMetrics(
        n=0, answer_in_quote_share=None, section_share=None, overlap_kl_lower_is_more=None,
        diversity_higher_is_more=None, question_words=None, reference_words=None,
    )  # fmt: skip
